// CRC-32 of text as UTF-8, piece by piece: the same as Python's `zlib.crc32`.
//
// Rule: crc32(b, crc32(a)) is crc32(a + b), unless a character is cut in two between a and b.

const TABLE = Uint32Array.from({ length: 256 }, (_, index) => {
  let n = index;
  for (let bit = 0; bit < 8; bit++) n = n & 1 ? (n >>> 1) ^ 0xedb88320 : n >>> 1;
  return n >>> 0;
});

const encoder = new TextEncoder();

export function crc32(text: string, before = 0): number {
  let crc = ~before;
  for (const byte of encoder.encode(text)) crc = (crc >>> 8) ^ TABLE[(crc ^ byte) & 0xff];
  return ~crc >>> 0;
}
