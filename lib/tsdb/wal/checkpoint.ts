import { mkdirSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { ByteWriter, fsyncDirectory } from '../index/index.js';
import { checkpointName, replayOrder } from './directory.js';
import { RECORD } from './format.js';
import {
  encodeTombstoneEntry,
  MetadataRecordReader,
  SampleRecordReader,
  SampleRecordWriter,
  SeriesRecordReader,
  TombstoneRecordReader,
} from './records.js';
import { WalReader } from './wal-reader.js';
import { WalWriter } from './wal-writer.js';

/** Small records are gathered up to this size. */
const BATCH_BYTES = 256 * 1024;

export interface CheckpointOptions {
  /** The WAL directory. */
  readonly directory: string;
  /** Last segment the checkpoint stands for; never the one being written. */
  readonly upTo: number;
  /** Whether a series is still in the head, or may still be named by samples in later segments. */
  readonly keepsSeries: (ref: number) => boolean;
  /** Samples before this are dropped, ms. */
  readonly minTime: number;
}

/** What went into a checkpoint and what did not. */
export interface CheckpointStats {
  readonly seriesKept: number;
  readonly seriesDropped: number;
  readonly samplesKept: number;
  readonly samplesDropped: number;
}

/**
 * Writes `checkpoint.N` from the checkpoint before it and the segments up to N, streaming. It appears by a rename
 * after everything was synced, so a crash leaves the old state. The caller then calls `removeReplaced`.
 * @throws CorruptionError when the log is damaged; nothing is left behind then.
 */
export function writeCheckpoint(options: CheckpointOptions): CheckpointStats {
  const { directory, upTo } = options;
  const target = join(directory, checkpointName(upTo));
  const temporary = `${target}.tmp`;
  const order = replayOrder(directory);
  const segments = [
    ...order.checkpointSegments,
    ...order.segments.filter((segment) => segment.number <= upTo),
  ];
  rmSync(temporary, { recursive: true, force: true });
  mkdirSync(temporary);
  const writer = new WalWriter(temporary);
  const reader = new WalReader(segments, { toleratesTear: false });
  try {
    const filter = new CheckpointFilter(options, writer);
    while (reader.next()) filter.take(reader.type, reader.payload);
    const stats = filter.finish();
    writer.finish();
    rmSync(target, { recursive: true, force: true });
    renameSync(temporary, target);
    fsyncDirectory(directory);
    return stats;
  } catch (error) {
    writer.abort();
    rmSync(temporary, { recursive: true, force: true });
    throw error;
  } finally {
    reader.close();
  }
}

/** Passes on what a checkpoint keeps. Records of unknown types are dropped. */
class CheckpointFilter {
  readonly #keepsSeries: (ref: number) => boolean;
  readonly #minTime: number;
  readonly #writer: WalWriter;
  readonly #seriesReader = new SeriesRecordReader();
  readonly #sampleReader = new SampleRecordReader();
  readonly #tombstoneReader = new TombstoneRecordReader();
  readonly #metadataReader = new MetadataRecordReader();
  readonly #sampleWriter = new SampleRecordWriter(new ByteWriter(64 * 1024));
  /** Series not written yet; they must be written before anything that names them. */
  readonly #series = new ByteWriter(BATCH_BYTES);
  readonly #tombstones = new ByteWriter();
  /** The newest metadata entry of each kept series. */
  readonly #metadata = new Map<number, Uint8Array>();
  #seriesKept = 0;
  #seriesDropped = 0;
  #samplesKept = 0;
  #samplesDropped = 0;

  constructor(options: CheckpointOptions, writer: WalWriter) {
    this.#keepsSeries = options.keepsSeries;
    this.#minTime = options.minTime;
    this.#writer = writer;
    this.#series.u8(RECORD.series);
  }

  take(type: number, payload: Uint8Array): void {
    if (type === RECORD.series) this.#takeSeries(payload);
    else if (type === RECORD.tombstones) this.#takeTombstones(payload);
    else if (type === RECORD.metadata) this.#takeMetadata(payload);
    else if (
      type === RECORD.samples ||
      type === RECORD.exemplars ||
      (type >= RECORD.histograms && type <= RECORD.customFloatHistograms)
    ) {
      this.#takeSamples(type, payload);
    }
  }

  finish(): CheckpointStats {
    this.#flushSeries();
    const out = new ByteWriter();
    out.u8(RECORD.metadata);
    for (const entry of this.#metadata.values()) {
      out.raw(entry);
      if (out.length >= BATCH_BYTES) {
        this.#writer.append(out.view());
        out.clear();
        out.u8(RECORD.metadata);
      }
    }
    if (out.length > 1) this.#writer.append(out.view());
    return {
      seriesKept: this.#seriesKept,
      seriesDropped: this.#seriesDropped,
      samplesKept: this.#samplesKept,
      samplesDropped: this.#samplesDropped,
    };
  }

  #takeSeries(payload: Uint8Array): void {
    const reader = this.#seriesReader;
    reader.reset(payload);
    while (reader.next()) {
      if (!this.#keepsSeries(reader.ref)) {
        this.#seriesDropped++;
        continue;
      }
      this.#seriesKept++;
      this.#series.be64(reader.ref);
      this.#series.raw(reader.labelBytes);
    }
    if (this.#series.length >= BATCH_BYTES) this.#flushSeries();
  }

  #takeSamples(type: number, payload: Uint8Array): void {
    const reader = this.#sampleReader;
    const writer = this.#sampleWriter;
    reader.reset(type, payload);
    writer.start(type);
    while (reader.next()) {
      if (reader.timestampMs < this.#minTime || !this.#keepsSeries(reader.ref)) {
        this.#samplesDropped++;
        continue;
      }
      this.#samplesKept++;
      writer.add(reader.ref, reader.timestampMs, reader.body);
    }
    if (writer.isEmpty) return;
    this.#flushSeries();
    this.#writer.append(writer.out.view());
  }

  #takeTombstones(payload: Uint8Array): void {
    const reader = this.#tombstoneReader;
    const out = this.#tombstones;
    out.clear();
    out.u8(RECORD.tombstones);
    reader.reset(payload);
    while (reader.next()) {
      if (reader.maxTime >= this.#minTime && this.#keepsSeries(reader.ref)) {
        encodeTombstoneEntry(out, reader.ref, reader.minTime, reader.maxTime);
      }
    }
    if (out.length === 1) return;
    this.#flushSeries();
    this.#writer.append(out.view());
  }

  #takeMetadata(payload: Uint8Array): void {
    const reader = this.#metadataReader;
    reader.reset(payload);
    while (reader.next()) {
      if (this.#keepsSeries(reader.ref)) this.#metadata.set(reader.ref, new Uint8Array(reader.entry));
    }
  }

  #flushSeries(): void {
    if (this.#series.length === 1) return;
    this.#writer.append(this.#series.view());
    this.#series.clear();
    this.#series.u8(RECORD.series);
  }
}
