import { createHash } from 'node:crypto';
import type { DeletionRule, KnownBlock } from '../bucketindex/index.js';

/** Merging, downsampling, and writing one block anew without deleted samples. */
export type JobKind = 'compact' | 'downsample' | 'rewrite';

/** Blocks that one block is made of. */
export interface Job {
  /** Names the result's place: kind, resolution, group and range. Jobs with equal keys exclude each other. */
  readonly key: string;
  readonly kind: JobKind;
  /** Of the result, ms. */
  readonly resolution: number;
  /** External labels of the result. */
  readonly labels: Readonly<Record<string, string>>;
  /** Aligned range, ms. */
  readonly rangeStart: number;
  readonly rangeEnd: number;
  /** By begin, then name. */
  readonly blocks: readonly KnownBlock[];
  /** What is to be left out. */
  readonly rules: readonly DeletionRule[];
  /** Keys of all deletion rules that the result satisfies. */
  readonly applied: readonly string[];
  /** For writing a downsampled block anew: the blocks of the finer level to make it of; empty to cut it. */
  readonly finer: readonly KnownBlock[];
}

/** Why a range stays as it is although something is missing. */
export interface Blocked {
  readonly resolution: number;
  readonly rangeStart: number;
  readonly rangeEnd: number;
  readonly reason: string;
}

/** A name that can be part of an object's. */
export function jobKey(
  kind: JobKind,
  resolution: number,
  labels: Readonly<Record<string, string>>,
  start: number,
  end: number,
): string {
  const group = createHash('sha256').update(JSON.stringify(labels)).digest('hex').slice(0, 16);
  return `${kind}-${resolution}-${group}-${start}-${end}`;
}

/** Blocks by the aligned range that holds them; those that no single range holds apart. */
export function splitByRange(
  blocks: readonly KnownBlock[],
  rangeMs: number,
): { readonly fitting: ReadonlyMap<number, KnownBlock[]>; readonly unfit: readonly KnownBlock[] } {
  const fitting = new Map<number, KnownBlock[]>();
  const unfit: KnownBlock[] = [];
  for (const block of blocks) {
    const start = Math.floor(block.minTime / rangeMs) * rangeMs;
    if (block.maxTime > start + rangeMs) {
      unfit.push(block);
      continue;
    }
    const others = fitting.get(start);
    if (others === undefined) fitting.set(start, [block]);
    else others.push(block);
  }
  return { fitting, unfit };
}
