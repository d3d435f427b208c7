/** A sample whose value is raw bits: numbers do not keep every NaN. */
export interface RawSample {
  readonly timestampMs: number;
  readonly bits: bigint;
}

const DOD_WIDTHS = [0, 14, 17, 20] as const;

/** The value in two's complement of 64 bits: 1101 and so on, most significant bit first. */
function toBits(value: bigint, n: number): string {
  return n === 0 ? '' : BigInt.asUintN(n, value).toString(2).padStart(n, '0');
}

function leadingZeros(x: bigint): number {
  return 64 - x.toString(2).length;
}

function trailingZeros(x: bigint): number {
  const digits = x.toString(2);
  return digits.length - 1 - digits.lastIndexOf('1');
}

function encodeDod(dod: bigint): string {
  if (dod === 0n) return '0';
  for (const [i, n] of DOD_WIDTHS.entries()) {
    const half = 1n << BigInt(Math.max(0, n - 1));
    if (i > 0 && dod > -half && dod <= half) return `${'1'.repeat(i)}0${toBits(dod, n)}`;
  }
  return `1111${toBits(dod, 64)}`;
}

function encodeUvarint(value: bigint): string {
  let rest = BigInt.asUintN(64, value);
  let out = '';
  for (; rest >= 0x80n; rest >>= 7n) out += `1${toBits(rest, 7)}`;
  return `${out}0${toBits(rest, 7)}`;
}

/** Encodes an XOR chunk as a string of binary digits, then packs it: the plain twin of the kernel's, for tests. */
export function encodeXorReference(samples: readonly RawSample[]): Uint8Array {
  let out = toBits(BigInt(samples.length), 16);
  let window: { leading: number; trailing: number } | null = null;
  let lastMs = 0n;
  let lastDelta = 0n;
  let lastBits = 0n;
  for (const [i, sample] of samples.entries()) {
    const timestampMs = BigInt(sample.timestampMs);
    const delta = timestampMs - lastMs;
    if (i === 0) {
      out += encodeUvarint((timestampMs << 1n) ^ (timestampMs >> 63n)) + toBits(sample.bits, 64);
    } else {
      out += i === 1 ? encodeUvarint(delta) : encodeDod(delta - lastDelta);
      const x = sample.bits ^ lastBits;
      if (x === 0n) out += '0';
      else {
        const fits: boolean =
          window !== null && leadingZeros(x) >= window.leading && trailingZeros(x) >= window.trailing;
        if (!fits) window = { leading: Math.min(31, leadingZeros(x)), trailing: trailingZeros(x) };
        const width = 64 - window!.leading - window!.trailing;
        out += fits ? '10' : `11${toBits(BigInt(window!.leading), 5)}${toBits(BigInt(width), 6)}`;
        out += toBits(x >> BigInt(window!.trailing), width);
      }
    }
    lastMs = timestampMs;
    lastDelta = i === 0 ? 0n : delta;
    lastBits = sample.bits;
  }
  const packed = out.match(/.{1,8}/g) ?? [];
  return Uint8Array.from(packed, (digits) => Number.parseInt(digits.padEnd(8, '0'), 2));
}

/** Decodes an XOR chunk from a string of binary digits; null when it is cut off or impossible. For tests. */
export function decodeXorReference(chunk: Uint8Array): RawSample[] | null {
  const digits = Array.from(chunk, (byte) => byte.toString(2).padStart(8, '0')).join('');
  let at = 0;
  let isBad = false;
  const read = (n: number): bigint => {
    if (at + n > digits.length) isBad = true;
    if (isBad || n === 0) return 0n;
    at += n;
    return BigInt(`0b${digits.slice(at - n, at)}`);
  };
  const readUvarint = (): bigint => {
    let value = 0n;
    for (let shift = 0n; shift < 70n; shift += 7n) {
      const byte = read(8);
      value |= (byte & 0x7fn) << shift;
      if (byte < 0x80n) {
        if (value >> 64n !== 0n) break;
        return value;
      }
    }
    isBad = true;
    return 0n;
  };
  const readDod = (): bigint => {
    let ones = 0;
    while (ones < 4 && read(1) === 1n) ones++;
    if (ones === 0) return 0n;
    if (ones === 4) return read(64);
    const n = DOD_WIDTHS[ones]!;
    const raw = read(n);
    return raw > 1n << BigInt(n - 1) ? raw - (1n << BigInt(n)) : raw;
  };

  const count = Number(read(16));
  const samples: RawSample[] = [];
  let t = 0n;
  let delta = 0n;
  let bits = 0n;
  let leading = 0;
  let width = 64;
  for (let i = 0; i < count && !isBad; i++) {
    if (i === 0) {
      const zigzag = readUvarint();
      t = (zigzag >> 1n) ^ -(zigzag & 1n);
      bits = read(64);
    } else {
      delta = i === 1 ? readUvarint() : delta + readDod();
      t = BigInt.asIntN(64, t + delta);
      if (read(1) === 1n) {
        if (read(1) === 1n) {
          leading = Number(read(5));
          width = Number(read(6)) || 64;
          if (leading + width > 64) isBad = true;
        }
        if (!isBad) bits ^= read(width) << BigInt(64 - leading - width);
      }
    }
    samples.push({ timestampMs: Number(t), bits });
  }
  return isBad ? null : samples;
}
