/** Whether a conversation or a file is of a chat that is never stored, as in `streamchat/chat/request.py`. */
export function isTemporary(id: string): boolean {
  return id.startsWith("temporary-");
}
