// The part of the browser client that the lab uses.

declare module "*/streamchat-client.js" {
  /** Bytes in, server-sent events out. */
  export class EventParser {
    feed(bytes: Uint8Array): { event: string; data: string; id: string }[];
  }
}
