import { CorruptionError } from '../errors/index.js';
import type { Head } from '../tsdb/head/index.js';
import {
  eachHistogram,
  isHistogramRecord,
  repairTear,
  replayOrder,
  WalReader,
  type WalTear,
} from '../tsdb/wal/index.js';
import type { CutMark } from './cut-mark.js';

const RECORD_SERIES = 1;
const RECORD_SAMPLES = 2;
/** The event loop gets a turn after this long, so that health checks are answered during a long replay. */
const TURN_MS = 20;

export interface ReplayResult {
  /** Number for the first segment to write. */
  readonly nextSegment: number;
  readonly seriesCount: number;
  readonly sampleCount: number;
  /** Samples whose series the log no longer defines: they belonged to series that were cut and removed. */
  readonly unknownSampleCount: number;
  readonly tear: WalTear | null;
  readonly seconds: number;
}

export interface ReplayProgress {
  segment: number;
  lastSegment: number;
}

/**
 * Rebuilds a head from its log: the newest checkpoint, then the segments after it. A record torn by a crash at the very end
 * was never acknowledged and is cut off; all other damage is an error that names segment and offset.
 * @throws CorruptionError
 */
export async function replayLog(
  walDirectory: string,
  head: Head,
  mark: CutMark | null,
  progress: ReplayProgress,
): Promise<ReplayResult> {
  const started = performance.now();
  const { kernel } = head;
  const order = replayOrder(walDirectory);
  let sampleCount = 0;
  let seriesCount = 0;
  let unknownHistogramCount = 0;
  progress.lastSegment = order.segments.at(-1)?.number ?? 0;

  const replay = async (reader: WalReader, isCheckpoint: boolean) => {
    let turn = performance.now() + TURN_MS;
    try {
      while (reader.next()) {
        if (!isCheckpoint) progress.segment = reader.segment;
        if (reader.type === RECORD_SERIES) {
          const taken = kernel.replaySeries(reader.record);
          if (taken < 0) throw malformed(reader, 'series');
          seriesCount += taken;
        } else if (reader.type === RECORD_SAMPLES) {
          const isCut = mark !== null && (isCheckpoint || reader.segment < mark.segment);
          const taken = kernel.replaySamples(reader.record, isCut ? mark.timeMs : Number.NEGATIVE_INFINITY);
          if (taken < 0) throw malformed(reader, 'samples');
          sampleCount += taken;
        } else if (isHistogramRecord(reader.type)) {
          const isCut = mark !== null && (isCheckpoint || reader.segment < mark.segment);
          const minTimeMs = isCut ? mark.timeMs : Number.NEGATIVE_INFINITY;
          try {
            eachHistogram(reader.type, reader.payload, (ref, timeMs, body) => {
              if (timeMs < minTimeMs) return;
              const live = kernel.resolve(ref);
              if (live === 0) {
                unknownHistogramCount++;
                return;
              }
              head.histograms.replay(live, timeMs, body());
              sampleCount++;
            });
          } catch (thrown) {
            throw thrown instanceof CorruptionError ? malformed(reader, 'histogram') : thrown;
          }
        }
        if (performance.now() > turn) {
          await new Promise((resolve) => setImmediate(resolve));
          turn = performance.now() + TURN_MS;
        }
      }
    } finally {
      reader.close();
    }
  };

  await replay(new WalReader(order.checkpointSegments, { toleratesTear: false }), true);
  const log = new WalReader(order.segments, { toleratesTear: true });
  await replay(log, false);
  if (log.tear !== null) repairTear(log.tear);
  // Marks the end of replay: nothing of it waits in the log batch.
  kernel.reframe([]);
  const last = order.segments.at(-1)?.number ?? order.checkpoint?.number ?? -1;
  return {
    nextSegment: last + 1,
    seriesCount,
    sampleCount,
    unknownSampleCount: kernel.replayUnknown + unknownHistogramCount,
    tear: log.tear,
    seconds: (performance.now() - started) / 1000,
  };
}

function malformed(reader: WalReader, what: string): CorruptionError {
  return new CorruptionError(
    'wal-record',
    `log segment ${reader.segment}: the ${what} record at offset ${reader.offset} has a right checksum but cannot be decoded`,
    { details: { segment: reader.segment, offset: reader.offset } },
  );
}
