/**
 * A plain encoder of XOR chunks for test storages (spec: chunks.md §3). The decoder under test is the kernel's; this one
 * only has to be right and simple.
 */

class BitWriter {
  private bytes = new Uint8Array(256);
  private bitLength = 0;

  /** Appends the low `count` bits of an unsigned 32-bit number, highest first. */
  write(value: number, count: number): void {
    const needed = ((this.bitLength + count + 7) >> 3) + 1;
    if (needed > this.bytes.length) {
      const larger = new Uint8Array(needed * 2);
      larger.set(this.bytes);
      this.bytes = larger;
    }
    for (let i = count - 1; i >= 0; i--) {
      if ((value >>> i) & 1) this.bytes[this.bitLength >> 3]! |= 0x80 >> (this.bitLength & 7);
      this.bitLength++;
    }
  }

  /** The low `count` bits of the 64-bit number (hi, lo). */
  write64(hi: number, lo: number, count: number): void {
    if (count > 32) this.write(hi, count - 32);
    this.write(lo, Math.min(32, count));
  }

  uvarint(value: bigint): void {
    let rest = BigInt.asUintN(64, value);
    while (rest >= 0x80n) {
      this.write(Number(rest & 0x7fn) | 0x80, 8);
      rest >>= 7n;
    }
    this.write(Number(rest), 8);
  }

  finish(): Uint8Array {
    return this.bytes.slice(0, (this.bitLength + 7) >> 3);
  }
}

const view = new DataView(new ArrayBuffer(8));

/** Encodes samples [from, to) as one chunk payload, sample count included. Values keep their bits. */
export function encodeXorChunk(
  timestampsMs: Float64Array,
  values: Float64Array,
  from: number,
  to: number,
): Uint8Array {
  const out = new BitWriter();
  const bits = new Uint32Array(values.buffer, values.byteOffset, values.length * 2);
  out.write(to - from, 16);
  let hi = 0;
  let lo = 0;
  let delta = 0;
  let leading = -1;
  let trailing = 0;
  for (let i = from; i < to; i++) {
    const time = timestampsMs[i]!;
    const nextLo = bits[2 * i]!;
    const nextHi = bits[2 * i + 1]!;
    if (i === from) {
      const t = BigInt(time);
      out.uvarint(t < 0n ? (-t << 1n) - 1n : t << 1n);
      out.write(nextHi, 32);
      out.write(nextLo, 32);
    } else {
      const nextDelta = time - timestampsMs[i - 1]!;
      if (i === from + 1) out.uvarint(BigInt(nextDelta));
      else writeDeltaOfDelta(out, nextDelta - delta);
      delta = nextDelta;
      const xorHi = (hi ^ nextHi) >>> 0;
      const xorLo = (lo ^ nextLo) >>> 0;
      if (xorHi === 0 && xorLo === 0) out.write(0, 1);
      else {
        const lead = Math.min(31, xorHi === 0 ? 32 + Math.clz32(xorLo) : Math.clz32(xorHi));
        const trail = xorLo === 0 ? 32 + ctz32(xorHi) : ctz32(xorLo);
        out.write(1, 1);
        if (leading >= 0 && lead >= leading && trail >= trailing) out.write(0, 1);
        else {
          leading = lead;
          trailing = trail;
          out.write(1, 1);
          out.write(lead, 5);
          out.write((64 - lead - trail) & 63, 6);
        }
        const [shiftedHi, shiftedLo] = shiftRight(xorHi, xorLo, trailing);
        out.write64(shiftedHi, shiftedLo, 64 - leading - trailing);
      }
    }
    hi = nextHi;
    lo = nextLo;
  }
  return out.finish();
}

function ctz32(x: number): number {
  return x === 0 ? 32 : 31 - Math.clz32(x & -x);
}

function shiftRight(hi: number, lo: number, count: number): [number, number] {
  if (count === 0) return [hi, lo];
  if (count >= 32) return [0, hi >>> (count - 32)];
  return [hi >>> count, ((lo >>> count) | (hi << (32 - count))) >>> 0];
}

function writeDeltaOfDelta(out: BitWriter, dod: number): void {
  if (dod === 0) out.write(0, 1);
  else if (dod >= -8191 && dod <= 8192) {
    out.write(0b10, 2);
    out.write(dod & 0x3fff, 14);
  } else if (dod >= -65535 && dod <= 65536) {
    out.write(0b110, 3);
    out.write(dod & 0x1ffff, 17);
  } else if (dod >= -524287 && dod <= 524288) {
    out.write(0b1110, 4);
    out.write(dod & 0xfffff, 20);
  } else {
    out.write(0b1111, 4);
    view.setBigInt64(0, BigInt(dod));
    out.write(view.getUint32(0), 32);
    out.write(view.getUint32(4), 32);
  }
}
