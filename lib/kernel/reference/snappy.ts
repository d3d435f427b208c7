/** What decoding says: the bytes, or the result code of the kernel's `snappyDecode`. */
export type SnappyResult = Uint8Array | -1 | -2 | -3 | -4 | -5;

/** Decodes a snappy block byte by byte: the plain twin of the kernel's, for tests. */
export function snappyDecodeReference(bytes: Uint8Array, limit: number): SnappyResult {
  let at = 0;
  let declared = 0;
  for (;;) {
    const byte = bytes[at];
    if (at === 5 || byte === undefined) return -1;
    declared += (byte & 0x7f) * 2 ** (7 * at++);
    if (byte < 0x80) break;
  }
  if (declared > 0xffffffff) return -1;
  if (declared > limit) return -2;
  const out: number[] = [];
  while (at < bytes.length) {
    const tag = bytes[at++]!;
    const kind = tag & 3;
    const upper = tag >>> 2;
    const trailerBytes = kind === 0 ? Math.max(0, upper - 59) : [0, 1, 2, 4][kind]!;
    if (at + trailerBytes > bytes.length) return -3;
    let trailer = 0;
    for (let i = 0; i < trailerBytes; i++) trailer += bytes[at++]! * 2 ** (8 * i);
    if (kind === 0) {
      const length = (trailerBytes === 0 ? upper : trailer) + 1;
      if (at + length > bytes.length) return -3;
      if (out.length + length > declared) return -5;
      for (let i = 0; i < length; i++) out.push(bytes[at++]!);
    } else {
      const length = kind === 1 ? 4 + (upper & 7) : 1 + upper;
      const offset = kind === 1 ? (tag >>> 5) * 256 + trailer : trailer;
      if (offset === 0 || offset > out.length) return -4;
      if (out.length + length > declared) return -5;
      for (let i = 0; i < length; i++) out.push(out[out.length - offset]!);
    }
  }
  return out.length === declared ? Uint8Array.from(out) : -5;
}

/** Encodes a snappy block of literals only, which every decoder must accept. */
export function snappyEncodeReference(bytes: Uint8Array): Uint8Array {
  const out: number[] = [];
  let rest = bytes.length;
  for (; rest >= 0x80; rest = Math.floor(rest / 0x80)) out.push((rest % 0x80) | 0x80);
  out.push(rest);
  for (let at = 0; at < bytes.length; at += 256) {
    const piece = bytes.subarray(at, at + 256);
    out.push(60 << 2, piece.length - 1, ...piece);
  }
  return Uint8Array.from(out);
}
