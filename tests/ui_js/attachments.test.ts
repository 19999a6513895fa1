// The files of a draft: uploaded three at a time, kept over a reload, and nothing is sent too early.

import { beforeEach, expect, test } from "bun:test";
import { Attachments, MAX_FILES, type UploadedFile } from "../../assets/chat/composer/attachments";
import { sizeOf } from "../../assets/chat/composer/picture";

interface Running {
  file: File;
  temporary: boolean;
  finish: (uploaded: UploadedFile) => void;
  fail: (error: Error) => void;
}

beforeEach(() => localStorage.clear());

function made() {
  const running: Running[] = [];
  const discarded: string[] = [];
  const shown = { temporary: false };
  let keys = 0;
  const attachments = new Attachments({
    newId: () => `key${keys++}`,
    isTemporary: () => shown.temporary,
    upload: (file, temporary) => {
      const { promise, resolve, reject } = Promise.withResolvers<UploadedFile>();
      running.push({ file, temporary, finish: resolve, fail: reject });
      return { done: promise, cancel: () => reject(new Error("cancelled")) };
    },
    discard: (id) => discarded.push(id),
  });
  attachments.at("/");
  return { attachments, running, discarded, shown };
}

const named = (name: string) => new File(["x"], name, { type: "image/png" });
const stored = (id: string): UploadedFile => ({ id, name: `${id}.png`, media_type: "image/png" });
const turn = () => new Promise((resolve) => setTimeout(resolve));

test("uploads run three at a time, and the message waits for all of them", async () => {
  const { attachments, running } = made();
  attachments.add(["a", "b", "c", "d"].map(named));
  expect(running.map(({ file }) => file.name)).toEqual(["a", "b", "c"]);
  expect(attachments.blocked).toBe("uploading");
  for (const id of ["a", "b", "c"]) running.shift()?.finish(stored(id));
  await turn();
  expect(running.map(({ file }) => file.name)).toEqual(["d"]);
  expect(attachments.blocked).toBe("uploading");
  running.shift()?.finish(stored("d"));
  await turn();
  expect(attachments.blocked).toBeNull();
  expect(attachments.extra).toEqual({ files: ["a", "b", "c", "d"] });
});

test("a file that was refused blocks the message until it is removed", async () => {
  const { attachments, running } = made();
  attachments.add([named("a")]);
  running[0].fail(new Error("too large"));
  await turn();
  expect(attachments.blocked).toBe("error");
  expect(attachments.list()[0].error).toBe("too large");
  attachments.remove(attachments.list()[0].key);
  expect(attachments.blocked).toBeNull();
});

test("there is room for a number of files only", () => {
  const { attachments } = made();
  expect(attachments.add(Array.from({ length: 200 }, (_, n) => named(`${n}`)))).toBe(200 - MAX_FILES);
  expect(attachments.list().length).toBe(MAX_FILES);
});

test("files belong to their draft, also if it is left while they are uploaded", async () => {
  const { attachments, running } = made();
  attachments.add([named("a")]);
  attachments.at("/c/other");
  expect(attachments.list()).toEqual([]);
  running[0].finish(stored("a"));
  await turn();
  const later = made().attachments; // a reload
  expect(later.extra).toEqual({ files: ["a"] });
  later.sent(["a"]);
  expect(made().attachments.extra).toEqual({});
});

test("what is removed is deleted on the server, also if its upload was under way", async () => {
  const { attachments, running, discarded } = made();
  attachments.add([named("a"), named("b")]);
  running[0].finish(stored("a"));
  await turn();
  attachments.remove(attachments.list()[0].key);
  expect(discarded).toEqual(["a"]);
  const [second] = attachments.list();
  running[1].finish(stored("b"));
  attachments.remove(second.key);
  await turn();
  expect(discarded).toEqual(["a", "b"]);
  expect(attachments.list()).toEqual([]);
});

test("the size of a picture is read from its header", () => {
  const bytes = (...parts: (string | number[])[]) =>
    Uint8Array.from(parts.flatMap((part) => (typeof part === "string" ? [...part].map((c) => c.charCodeAt(0)) : part)));
  const png = bytes([0x89], "PNG\r\n\x1a\n", [0, 0, 0, 13], "IHDR", [0, 0, 0x4e, 0x20], [0, 0, 1, 0]);
  expect(sizeOf(png)).toEqual({ width: 20_000, height: 256 });
  const jpeg = bytes([0xff, 0xd8, 0xff, 0xe0, 0, 4, 1, 2, 0xff, 0xc2, 0, 11, 8, 1, 0, 2, 0]);
  expect(sizeOf(jpeg)).toEqual({ width: 512, height: 256 });
  const vp8x = bytes("RIFF", [0, 0, 0, 0], "WEBPVP8X", [10, 0, 0, 0, 0, 0, 0, 0], [0xff, 1, 0], [0xff, 0, 0]);
  expect(sizeOf(vp8x)).toEqual({ width: 512, height: 256 });
  for (const cut of [png.slice(0, 18), jpeg.slice(0, 10), vp8x.slice(0, 20), new Uint8Array()]) {
    expect(sizeOf(cut)).toBeNull();
  }
});

test("a file of a temporary chat is uploaded as one, also if another chat is shown when its turn comes", async () => {
  const { attachments, running, shown } = made();
  shown.temporary = true;
  attachments.add(["a", "b", "c", "d"].map(named));
  shown.temporary = false;
  attachments.at("/c/other");
  running[0].finish(stored("temporary-a"));
  await turn();
  expect(running.map(({ temporary }) => temporary)).toEqual([true, true, true, true]);
});
