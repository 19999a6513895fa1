// Pictures before their upload: scaled down to what models take.
//
// The size is read from the header: a picture that is too large to decode is never decoded, and the server refuses it
// with its reason, as it does with everything that is no picture.

const MAX_SIDE = 2000;
const MAX_BYTES = 4_000_000;
const DECODABLE_SIDE = 12_000;
const DECODABLE_PIXELS = 60_000_000;
const HEADER_BYTES = 512 * 1024;
const JPEG_QUALITY = 0.9;
const HEIC = /\.hei[cf]$/i;

export interface Size {
  width: number;
  height: number;
}

/** The picture as a file that models take; the file itself if it is one already, or if the browser cannot read it. */
export async function prepared(file: File): Promise<File> {
  const heic = HEIC.test(file.name);
  if (!heic && !/^image\/(png|jpeg|webp)$/.test(file.type)) return file;
  try {
    const size = sizeOf(new Uint8Array(await file.slice(0, HEADER_BYTES).arrayBuffer()));
    if (!size && !heic) return file;
    if (size && Math.max(size.width, size.height) > DECODABLE_SIDE) return file;
    if (size && size.width * size.height > DECODABLE_PIXELS) return file;
    if (size && Math.max(size.width, size.height) <= MAX_SIDE && file.size <= MAX_BYTES) return file;
    return await scaled(file, heic);
  } catch {
    return file; // the server says what it is
  }
}

async function scaled(file: File, heic: boolean): Promise<File> {
  const bitmap = await createImageBitmap(file);
  const scale = Math.min(1, MAX_SIDE / Math.max(bitmap.width, bitmap.height));
  const canvas = document.createElement("canvas");
  canvas.width = Math.max(1, Math.round(bitmap.width * scale));
  canvas.height = Math.max(1, Math.round(bitmap.height * scale));
  canvas.getContext("2d")?.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  bitmap.close();
  const png = !heic && file.type === "image/png" ? await encoded(canvas, "image/png") : null;
  const blob = png && png.size <= MAX_BYTES ? png : await encoded(canvas, "image/jpeg");
  if (!blob) return file;
  const name = blob.type === file.type ? file.name : file.name.replace(/\.[^.]*$|$/, ".jpg");
  return new File([blob], name, { type: blob.type });
}

function encoded(canvas: HTMLCanvasElement, type: string): Promise<Blob | null> {
  return new Promise((resolve) => canvas.toBlob(resolve, type, JPEG_QUALITY));
}

/** The size in the header of a PNG, JPEG or WebP; `null` if it is not found. */
export function sizeOf(bytes: Uint8Array): Size | null {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const text = (from: number, to: number) => String.fromCharCode(...bytes.subarray(from, to));
  try {
    if (text(1, 4) === "PNG") return { width: view.getUint32(16), height: view.getUint32(20) };
    if (bytes[0] === 0xff && bytes[1] === 0xd8) return jpegSize(view);
    if (text(8, 12) === "WEBP") return webpSize(view, text(12, 16));
  } catch (error) {
    if (!(error instanceof RangeError)) throw error; // cut off
  }
  return null;
}

function jpegSize(view: DataView): Size | null {
  for (let at = 2; view.getUint8(at) === 0xff; ) {
    const marker = view.getUint8(at + 1);
    const isFrame = marker >= 0xc0 && marker <= 0xcf && ![0xc4, 0xc8, 0xcc].includes(marker);
    if (isFrame) return { width: view.getUint16(at + 7), height: view.getUint16(at + 5) };
    at += marker === 0xff ? 1 : 2 + view.getUint16(at + 2);
  }
  return null;
}

function webpSize(view: DataView, kind: string): Size {
  if (kind === "VP8X") {
    const side = (at: number) => view.getUint16(at, true) + (view.getUint8(at + 2) << 16) + 1;
    return { width: side(24), height: side(27) };
  }
  if (kind === "VP8L") {
    const bits = view.getUint32(21, true);
    return { width: (bits & 0x3fff) + 1, height: ((bits >> 14) & 0x3fff) + 1 };
  }
  return { width: view.getUint16(26, true) & 0x3fff, height: view.getUint16(28, true) & 0x3fff };
}
