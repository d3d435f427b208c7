import { closeSync, openSync, statfsSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';
import { compress } from '../../e2e/wire.js';
import { RequestBody } from './body.js';

export const SAMPLES_PER_REQUEST = 2000;
export const INTERVAL_MS = 15_000;

export interface LoadShape {
  readonly series: number;
  /** Scrapes: samples per series. */
  readonly rounds: number;
  /** Time of the first round, ms. */
  readonly startMs: number;
}

/**
 * All requests of a load, compressed and ready to send, in one file: so that the sender only reads and writes, every
 * program gets the very same bytes, and their making is not part of any measurement.
 */
export interface Corpus {
  readonly file: string;
  readonly shape: LoadShape;
  readonly requestsPerRound: number;
  /** Offset and length of request (round, batch) at `2 * (round * requestsPerRound + batch)`. */
  readonly index: Float64Array;
  readonly samples: number;
  /** Bytes of all bodies before and after compression. */
  readonly plainBytes: number;
  readonly compressedBytes: number;
  /** Checksum over all bodies before compression: the same shape always gives the same number. */
  readonly checksum: number;
}

/** Time of round 0 of a load that ends just before `nowMs`, on a multiple of the interval. */
export function startOf(rounds: number, nowMs: number): number {
  return Math.floor(nowMs / INTERVAL_MS) * INTERVAL_MS - rounds * INTERVAL_MS;
}

/** FNV-1a over 32-bit words: enough to notice a change of the generator, and quick. */
export function checksumOf(bytes: Buffer, seed = 0x811c9dc5): number {
  let sum = seed;
  const words = bytes.length >> 2;
  for (let i = 0; i < words; i++) sum = Math.imul(sum ^ bytes.readInt32LE(i * 4), 0x01000193);
  return sum >>> 0;
}

/** Writes the requests of a load to a file. Takes about 1.5 ms and 60 kB per request. */
export function writeCorpus(file: string, shape: LoadShape): Corpus {
  const requestsPerRound = Math.ceil(shape.series / SAMPLES_PER_REQUEST);
  const index = new Float64Array(2 * requestsPerRound * shape.rounds);
  const disk = statfsSync(dirname(file));
  const out = openSync(file, 'w');
  let [offset, plainBytes, checksum] = [0, 0, 0x811c9dc5];
  for (let batch = 0; batch < requestsPerRound; batch++) {
    const first = batch * SAMPLES_PER_REQUEST;
    const body = new RequestBody(first, Math.min(SAMPLES_PER_REQUEST, shape.series - first));
    for (let round = 0; round < shape.rounds; round++) {
      body.fill(shape.startMs + round * INTERVAL_MS);
      checksum = checksumOf(body.bytes, checksum);
      const compressed = compress(body.bytes);
      writeSync(out, compressed);
      const at = 2 * (round * requestsPerRound + batch);
      index[at] = offset;
      index[at + 1] = compressed.length;
      offset += compressed.length;
      plainBytes += body.bytes.length;
    }
    if (batch === 0 && offset * requestsPerRound > disk.bavail * disk.bsize) {
      throw new Error(`no room for about ${offset * requestsPerRound} bytes of load in ${dirname(file)}`);
    }
  }
  closeSync(out);
  return {
    file,
    shape,
    requestsPerRound,
    index,
    samples: shape.series * shape.rounds,
    plainBytes,
    compressedBytes: offset,
    checksum,
  };
}
