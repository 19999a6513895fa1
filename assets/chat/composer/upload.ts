// The upload of one file, with its progress.

import { basePath } from "../common/base-path";
import { messageIn, RequestError, request } from "../common/request";
import { strings } from "../common/strings";
import type { Upload, UploadedFile } from "./attachments";
import { prepared } from "./picture";

interface Limits {
  largest: number;
}

let limits: Promise<Limits | null> | undefined;

/** Begins the upload of a file; pictures are scaled down first. `temporary`: for a chat that is never stored. */
export function upload(file: File, temporary: boolean, onProgress: (progress: number) => void): Upload {
  const sending = new XMLHttpRequest();
  let cancelled = false;
  const send = async (): Promise<UploadedFile> => {
    const ready = await prepared(file);
    // A body beyond the limit is refused before it is read, which a browser shows as a lost connection.
    limits ??= request<Limits>("GET", "/api/files").catch(() => null);
    const largest = (await limits)?.largest ?? Number.POSITIVE_INFINITY;
    if (ready.size > largest) {
      throw new RequestError(strings().composer.tooLarge(Math.round(largest / 1e6)));
    }
    if (cancelled) throw new RequestError(strings().composer.removed);
    const form = new FormData();
    form.append("file", ready, ready.name || "file");
    return new Promise((resolve, reject) => {
      sending.upload.onprogress = ({ loaded, total }) => onProgress(total ? loaded / total : 0);
      sending.onload = () => {
        const answer = parsed(sending.responseText);
        if (sending.status === 201) resolve(answer as UploadedFile);
        else reject(new RequestError(messageIn(answer) ?? strings().composer.uploadFailed));
      };
      sending.onerror = sending.onabort = () => reject(new RequestError(strings().composer.uploadFailed));
      sending.open("POST", `${basePath()}/api/files${temporary ? "?temporary=true" : ""}`);
      sending.send(form);
    });
  };
  return {
    done: send(),
    cancel: () => {
      cancelled = true;
      sending.abort();
    },
  };
}

/** Deletes a file that is not sent. The server does so by itself after a day. */
export function discard(id: string): void {
  request("DELETE", `/api/files/${encodeURIComponent(id)}`).catch(() => {});
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
