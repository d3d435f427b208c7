import { randomBytes } from 'node:crypto';
import { VarveError } from '../errors/index.js';
import { createMemory, instantiate } from './module.js';

/**
 * Decompresses and scans remote write 1.0 requests into columns, in one memory that is reused for every request: large
 * fresh buffers cost more in page faults than in work. The columns stay valid until the next `load`.
 */

interface ScanExports {
  crcInit(): void;
  snappyDecode(source: number, sourceLength: number, target: number, targetCapacity: number): number;
  fingerprintSeed(low1: number, high1: number, low2: number, high2: number): void;
  fingerprint(address: number, length: number): void;
  readonly hash1: { readonly value: bigint };
  readonly hash2: { readonly value: bigint };
  scanColumns(
    hashes1: number,
    hashes2: number,
    starts: number,
    labelAddresses: number,
    labelLengths: number,
    seriesCapacity: number,
    times: number,
    values: number,
    sampleCapacity: number,
    metadata: number,
    metadataCapacity: number,
    histograms: number,
    histogramCapacity: number,
    scratch: number,
    scratchBytes: number,
  ): void;
  scanWriteRequest(address: number, length: number): number;
  readonly scanSeriesCount: { readonly value: number };
  readonly scanSampleCount: { readonly value: number };
  readonly scanHistogramCount: { readonly value: number };
  readonly scanExemplarCount: { readonly value: number };
  readonly scanMetadataCount: { readonly value: number };
  readonly scanErrorOffset: { readonly value: number };
  validateLimits(labelCount: number, nameBytes: number, valueBytes: number, totalBytes: number): void;
  validateLabels(address: number, length: number): number;
  readonly invalidAddress: { readonly value: number };
  readonly invalidLength: { readonly value: number };
}

/** Findings of `validateLabels`, as numbered in assembly/scan/validate.ts. */
export const LABEL_FINDING = {
  canonical: 0,
  toNormalise: 1,
  malformed: 2,
  missingName: 3,
  tooMany: 4,
  nameTooLong: 5,
  valueTooLong: 6,
  tooLarge: 7,
  nameInvalid: 8,
  valueInvalid: 9,
  duplicate: 10,
  metricNameInvalid: 11,
} as const;

export interface LabelLimits {
  readonly labelCountMax: number;
  readonly nameBytesMax: number;
  readonly valueBytesMax: number;
  readonly labelSetBytesMax: number;
}

/** Byte addresses of the columns of the loaded request in `bytes`. */
export interface ScanColumns {
  hashes1: number;
  hashes2: number;
  starts: number;
  labelAddresses: number;
  labelLengths: number;
  times: number;
  values: number;
  metadata: number;
  /** Three words per histogram: series, address and length of the message, by ascending series. */
  histograms: number;
  seriesCount: number;
  sampleCount: number;
  histogramCount: number;
  exemplarCount: number;
  metadataCount: number;
}

const BASE = 16384;
const SLACK = 128;
/** A memory that one huge request has blown up is dropped after it. */
const RETAINED_BYTES_MAX = 96 * 1024 * 1024;

const SNAPPY_MESSAGES: Readonly<Record<number, string>> = {
  [-1]: 'bad length preamble',
  [-2]: 'declared length over the limit',
  [-3]: 'truncated',
  [-4]: 'a copy reaches before the start',
  [-5]: 'the output does not end at the declared length',
};

function align(value: number): number {
  return Math.ceil(value / 64) * 64;
}

/**
 * The seed of the first fingerprint is fixed (it may place series on shards one day), that of the second is secret and
 * new for every process, so that nobody can prepare label sets that collide.
 */
const SECRET = randomBytes(8);

export class ScanKernel {
  #memory: WebAssembly.Memory;
  #exports: ScanExports;
  #bytes: Uint8Array;
  #words: Uint32Array;
  #decodedAddress = 0;
  #decodedLength = 0;
  #scratchAddress = 0;
  readonly columns: ScanColumns = {
    hashes1: 0,
    hashes2: 0,
    starts: 0,
    labelAddresses: 0,
    labelLengths: 0,
    times: 0,
    values: 0,
    metadata: 0,
    histograms: 0,
    seriesCount: 0,
    sampleCount: 0,
    histogramCount: 0,
    exemplarCount: 0,
    metadataCount: 0,
  };

  constructor() {
    this.#memory = createMemory(4 * 1024 * 1024);
    this.#exports = this.#instantiate();
    this.#bytes = new Uint8Array(this.#memory.buffer);
    this.#words = new Uint32Array(this.#memory.buffer);
  }

  #instantiate(): ScanExports {
    const exports = instantiate<ScanExports>(this.#memory);
    exports.fingerprintSeed(0, 0, SECRET.readUInt32LE(0), SECRET.readUInt32LE(4));
    return exports;
  }

  /** The loaded request, decompressed; a view that dies with the next `load`. */
  get request(): Uint8Array {
    return this.#bytes.subarray(this.#decodedAddress, this.#decodedAddress + this.#decodedLength);
  }

  /** The kernel's memory; views die with the next `load`. */
  get bytes(): Uint8Array {
    return this.#bytes;
  }

  get words(): Uint32Array {
    return this.#words;
  }

  #reserve(byteCount: number): void {
    const have = this.#memory.buffer.byteLength;
    if (byteCount > have) {
      this.#memory.grow(Math.ceil((byteCount - have) / 65536));
      this.#bytes = new Uint8Array(this.#memory.buffer);
      this.#words = new Uint32Array(this.#memory.buffer, 0, this.#memory.buffer.byteLength >>> 2);
    } else if (have > RETAINED_BYTES_MAX && byteCount < RETAINED_BYTES_MAX / 4) {
      this.#memory = createMemory(Math.max(byteCount, 4 * 1024 * 1024));
      this.#exports = this.#instantiate();
      this.#bytes = new Uint8Array(this.#memory.buffer);
      this.#words = new Uint32Array(this.#memory.buffer);
    }
  }

  /**
   * Decompresses and scans a request body.
   * @param body     chunks of a snappy block (no framing) that holds a WriteRequest
   * @param bytesMax limit of the decompressed size, checked before anything is decoded
   * @throws VarveError client `snappy-invalid`, `body-too-large`, `write-request-malformed`
   */
  load(body: readonly Uint8Array[], byteLength: number, bytesMax: number): ScanColumns {
    const declared = declaredLength(body);
    if (declared < 0) throw new VarveError('client', 'snappy-invalid', 'snappy: bad length preamble');
    if (declared > bytesMax) {
      throw new VarveError(
        'client',
        'body-too-large',
        `the decompressed request would be ${declared} bytes, over the limit of ${bytesMax} (push.max_decoded_bytes)`,
        { details: { declaredBytes: declared, limitBytes: bytesMax } },
      );
    }
    // A compressed byte yields at most 64/3 bytes (a copy element of 3 bytes for 64): larger claims are bombs, refused
    // before memory is grown for them.
    if (declared > byteLength * 22 + 64) {
      throw new VarveError(
        'client',
        'snappy-invalid',
        `snappy: ${byteLength} bytes cannot decode to the declared ${declared}`,
      );
    }
    const entries = Math.floor(declared / 8) + 64;
    const compressed = BASE;
    const decoded = align(compressed + byteLength + SLACK);
    const hashes1 = align(decoded + declared + SLACK);
    const hashes2 = align(hashes1 + entries * 8);
    const starts = align(hashes2 + entries * 8);
    const labelAddresses = align(starts + entries * 4 + 4);
    const labelLengths = align(labelAddresses + entries * 4);
    const times = align(labelLengths + entries * 4);
    const values = align(times + entries * 8);
    const metadata = align(values + entries * 8);
    const histograms = align(metadata + entries * 8);
    const scratch = align(histograms + entries * 12);
    this.#reserve(scratch + declared + SLACK);

    let at = compressed;
    for (const chunk of body) {
      this.#bytes.set(chunk, at);
      at += chunk.length;
    }
    const length = this.#exports.snappyDecode(compressed, byteLength, decoded, declared);
    if (length < 0) {
      throw new VarveError(
        'client',
        'snappy-invalid',
        `snappy: ${SNAPPY_MESSAGES[length] ?? 'corrupt input'}`,
      );
    }
    this.#decodedAddress = decoded;
    this.#decodedLength = length;
    this.#scratchAddress = scratch;
    this.#exports.scanColumns(
      hashes1,
      hashes2,
      starts,
      labelAddresses,
      labelLengths,
      entries,
      times,
      values,
      entries,
      metadata,
      entries,
      histograms,
      entries,
      scratch,
      declared,
    );
    const code = this.#exports.scanWriteRequest(decoded, length);
    if (code !== 0) {
      const offset = this.#exports.scanErrorOffset.value >>> 0;
      throw new VarveError(
        'client',
        'write-request-malformed',
        code === -2
          ? `protobuf: more empty messages than a write request of ${length} bytes can carry`
          : `protobuf: not a prometheus.WriteRequest at byte ${offset} of ${length}`,
        { details: { byteOffset: offset } },
      );
    }
    const columns = this.columns;
    columns.hashes1 = hashes1;
    columns.hashes2 = hashes2;
    columns.starts = starts;
    columns.labelAddresses = labelAddresses;
    columns.labelLengths = labelLengths;
    columns.times = times;
    columns.values = values;
    columns.metadata = metadata;
    columns.histograms = histograms;
    columns.seriesCount = this.#exports.scanSeriesCount.value;
    columns.sampleCount = this.#exports.scanSampleCount.value;
    columns.histogramCount = this.#exports.scanHistogramCount.value;
    columns.exemplarCount = this.#exports.scanExemplarCount.value;
    columns.metadataCount = this.#exports.scanMetadataCount.value;
    return columns;
  }

  setLabelLimits(limits: LabelLimits): void {
    this.#exports.validateLimits(
      limits.labelCountMax,
      limits.nameBytesMax,
      limits.valueBytesMax,
      limits.labelSetBytesMax,
    );
  }

  /** Validates the labels of series i; one of LABEL_FINDING. */
  validate(i: number): number {
    return this.#exports.validateLabels(this.#labelAddress(i), this.#labelLength(i));
  }

  /** Name (or metric name) of the label that the last `validate` objected to, cut to 200 bytes, invalid UTF-8 replaced. */
  offendingLabel(): string {
    const address = this.#exports.invalidAddress.value >>> 0;
    const length = Math.min(this.#exports.invalidLength.value >>> 0, 200);
    return Buffer.from(this.#bytes.slice(address, address + length)).toString('utf8');
  }

  /** A copy of the label fields of series i as they were sent. */
  labelBytes(i: number): Uint8Array {
    const address = this.#labelAddress(i);
    return this.#bytes.slice(address, address + this.#labelLength(i));
  }

  /** Samples of series i. */
  sampleCountOf(i: number): number {
    const at = (this.columns.starts >>> 2) + i;
    return this.#words[at + 1]! - this.#words[at]!;
  }

  /** The series of histogram k. */
  histogramSeriesOf(k: number): number {
    return this.#words[(this.columns.histograms >>> 2) + k * 3]!;
  }

  /** A copy of metadata message i. */
  metadataBytes(i: number): Uint8Array {
    const at = (this.columns.metadata >>> 2) + i * 2;
    const address = this.#words[at]!;
    return this.#bytes.slice(address, address + this.#words[at + 1]!);
  }

  #labelAddress(i: number): number {
    return this.#words[(this.columns.labelAddresses >>> 2) + i]!;
  }

  #labelLength(i: number): number {
    return this.#words[(this.columns.labelLengths >>> 2) + i]!;
  }

  /**
   * Replaces the labels of series i by their canonical encoding and recomputes the fingerprint.
   * @throws VarveError client `write-request-malformed` when the normalised labels of the request outgrow their room
   */
  replaceLabels(i: number, labels: Uint8Array): void {
    const address = this.#labelAddress(i);
    if (labels.length > this.#labelLength(i)) {
      throw new VarveError(
        'client',
        'write-request-malformed',
        'normalised labels are longer than the labels sent',
      );
    }
    this.#bytes.set(labels, address);
    this.#words[(this.columns.labelLengths >>> 2) + i] = labels.length;
    this.#exports.fingerprint(address, labels.length);
    new BigUint64Array(this.#memory.buffer, this.columns.hashes1, i + 1)[i] = BigInt.asUintN(
      64,
      this.#exports.hash1.value,
    );
    new BigUint64Array(this.#memory.buffer, this.columns.hashes2, i + 1)[i] = BigInt.asUintN(
      64,
      this.#exports.hash2.value,
    );
  }

  /** Bytes the decoded request begins at and those after the columns: for tests of memory use. */
  get footprintBytes(): number {
    return this.#scratchAddress - this.#decodedAddress;
  }
}

/** The length that the preamble of a snappy block declares, or -1. */
function declaredLength(body: readonly Uint8Array[]): number {
  let value = 0;
  let scale = 1;
  for (const chunk of body) {
    for (const byte of chunk) {
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) return value <= 0xffffffff ? value : -1;
      scale *= 128;
      if (scale > 2 ** 28) return -1;
    }
  }
  return -1;
}

/** The secret half of the fingerprint seed, for heads that compute fingerprints themselves (replay). */
export function fingerprintSecret(): readonly [number, number] {
  return [SECRET.readUInt32LE(0), SECRET.readUInt32LE(4)];
}
