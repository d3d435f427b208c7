import { existsSync, readdirSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { CorruptionError } from '../../errors/index.js';
import { fsyncDirectory } from '../index/index.js';

/** One file of a log. */
export interface WalSegment {
  readonly number: number;
  readonly path: string;
}

/** A checkpoint: a log of its own that stands for the segments up to and with its number. */
export interface WalCheckpoint {
  readonly number: number;
  readonly path: string;
}

/** What a WAL directory holds, each list by ascending number. */
export interface WalDirectory {
  readonly segments: readonly WalSegment[];
  readonly checkpoints: readonly WalCheckpoint[];
  /** Unfinished checkpoints, to be deleted. */
  readonly leftovers: readonly string[];
}

const CHECKPOINT_PATTERN = /^checkpoint\.(\d+)$/;
const LEFTOVER_PATTERN = /^checkpoint\.\d+\.tmp$/;

/** Name of a segment file. */
export function segmentName(number: number): string {
  return String(number).padStart(8, '0');
}

/** Name of a checkpoint directory. */
export function checkpointName(number: number): string {
  return `checkpoint.${String(number).padStart(8, '0')}`;
}

/** Lists a WAL directory; one that does not exist is empty. Files with other names are passed over. */
export function scanWalDirectory(directory: string): WalDirectory {
  const segments: WalSegment[] = [];
  const checkpoints: WalCheckpoint[] = [];
  const leftovers: string[] = [];
  for (const name of existsSync(directory) ? readdirSync(directory) : []) {
    const path = join(directory, name);
    const checkpoint = CHECKPOINT_PATTERN.exec(name);
    if (/^\d+$/.test(name)) segments.push({ number: Number(name), path });
    else if (checkpoint !== null) checkpoints.push({ number: Number(checkpoint[1]), path });
    else if (LEFTOVER_PATTERN.test(name)) leftovers.push(path);
  }
  segments.sort((a, b) => a.number - b.number);
  checkpoints.sort((a, b) => a.number - b.number);
  return { segments, checkpoints, leftovers };
}

/**
 * What has to be replayed: the segments of the newest checkpoint and the log's segments behind it.
 * @throws CorruptionError `wal-gap` when a segment number is missing.
 */
export function replayOrder(directory: string): {
  checkpoint: WalCheckpoint | null;
  checkpointSegments: readonly WalSegment[];
  segments: readonly WalSegment[];
} {
  const scan = scanWalDirectory(directory);
  const checkpoint = scan.checkpoints.at(-1) ?? null;
  const segments = scan.segments.filter(
    (segment) => checkpoint === null || segment.number > checkpoint.number,
  );
  const checkpointSegments = checkpoint === null ? [] : scanWalDirectory(checkpoint.path).segments;
  checkContiguous(directory, checkpoint === null ? null : checkpoint.number + 1, segments);
  if (checkpoint !== null) checkContiguous(checkpoint.path, 0, checkpointSegments);
  return { checkpoint, checkpointSegments, segments };
}

/** Deletes unfinished checkpoints. Call on start, before anything writes. */
export function removeLeftovers(directory: string): void {
  for (const path of scanWalDirectory(directory).leftovers) rmSync(path, { recursive: true, force: true });
}

/** Deletes segments up to and with a number, and checkpoints before it: what a checkpoint of that number replaces. */
export function removeReplaced(directory: string, number: number): void {
  const scan = scanWalDirectory(directory);
  for (const segment of scan.segments) if (segment.number <= number) rmSync(segment.path, { force: true });
  for (const checkpoint of scan.checkpoints) {
    if (checkpoint.number < number) rmSync(checkpoint.path, { recursive: true, force: true });
  }
  fsyncDirectory(directory);
}

/** Bytes of all segments of a log, checkpoints not counted. */
export function walByteCount(directory: string): number {
  let total = 0;
  for (const segment of scanWalDirectory(directory).segments) total += statSync(segment.path).size;
  return total;
}

function checkContiguous(directory: string, first: number | null, segments: readonly WalSegment[]): void {
  let expected = first ?? segments[0]?.number ?? 0;
  for (const segment of segments) {
    if (segment.number !== expected) {
      throw new CorruptionError(
        'wal-gap',
        `${directory}: segment ${segmentName(expected)} is missing, ${segmentName(segment.number)} follows`,
        { details: { file: directory, expected, found: segment.number } },
      );
    }
    expected++;
  }
}
