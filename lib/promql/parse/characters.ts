// Character classes, one bit each. Letters include the underscore.
export const SPACE = 1;
export const ALPHA = 2;
export const DIGIT = 4;
export const HEX = 8;

/** The classes of each ASCII character. */
export const CLASSES = new Uint8Array(128);
for (const char of ' \t\n\r') CLASSES[char.charCodeAt(0)]! |= SPACE;
for (let c = 0; c < 128; c++) {
  const char = String.fromCharCode(c);
  if (/[A-Za-z_]/.test(char)) CLASSES[c]! |= ALPHA;
  if (/[0-9]/.test(char)) CLASSES[c]! |= DIGIT;
  if (/[0-9A-Fa-f]/.test(char)) CLASSES[c]! |= HEX;
}

/** Maps UTF-16 indices to UTF-8 offsets, or null when all characters are ASCII. */
export function byteOffsets(source: string): Uint32Array | null {
  let i = 0;
  while (i < source.length && source.charCodeAt(i) < 0x80) i++;
  if (i === source.length) return null;
  const offsets = new Uint32Array(source.length + 1);
  let offset = 0;
  for (i = 0; i < source.length; i++) {
    offsets[i] = offset;
    const c = source.charCodeAt(i);
    const isPair = c >= 0xd800 && c < 0xdc00 && (source.charCodeAt(i + 1) & 0xfc00) === 0xdc00;
    if (isPair) {
      offset += 4;
      offsets[++i] = offset;
    } else offset += c < 0x80 ? 1 : c < 0x800 ? 2 : 3;
  }
  offsets[source.length] = offset;
  return offsets;
}
