import { spawnSync } from 'node:child_process';
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { VarveError } from '../../errors/index.js';
import { codecKernel } from '../../kernel/index.js';
import { labelsFromObject } from '../../labels/index.js';
import { ByteWriter } from '../index/index.js';
import { writeCheckpoint } from './checkpoint.js';
import { removeLeftovers, removeReplaced, replayOrder, scanWalDirectory, segmentName } from './directory.js';
import { PAGE_BYTES, RECORD, SNAPPY_FLAG } from './format.js';
import {
  encodeMetadataEntry,
  encodeSeriesEntry,
  encodeTombstoneEntry,
  MetadataRecordReader,
  SampleRecordReader,
  SampleRecordWriter,
  SeriesRecordReader,
  TombstoneRecordReader,
} from './records.js';
import { repairTear, WalReader } from './wal-reader.js';
import { encodeRecordPages, WalWriter } from './wal-writer.js';

const T = 1_700_000_000_000;
const SERIES_GOLDEN =
  '01 0000000000000001 02 08 5f5f6e616d655f5f 02 7570 03 6a6f62 01 61  0000000000000002 02 08 5f5f6e616d655f5f 02 7570 03 6a6f62 01 62';
const SAMPLES_GOLDEN =
  '02 0000000000000001 0000018bcfe56800  00 00 3ff0000000000000  02 00 3fe0000000000000  00 b0ea01 4000000000000000';
const HISTOGRAM_GOLDEN =
  '07 0000000000000001 0000018bcfe56800 00 00 00 02 37f0000000000000 02 0a 4032666666666666 02 00 02 02 01 00 03 02 04 02 00';
const METADATA_GOLDEN = '06 01 02 02 04 554e4954 00 04 48454c50 01 68';

let folder = '';
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'varve-wal-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

function hex(text: string): Buffer {
  return Buffer.from(text.replace(/\s+/g, ''), 'hex');
}

function toHex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}

function float(value: number): Uint8Array {
  const bytes = Buffer.alloc(8);
  bytes.writeDoubleBE(value);
  return bytes;
}

function seriesRecord(...refs: number[]): Uint8Array {
  const out = new ByteWriter();
  out.u8(RECORD.series);
  for (const ref of refs) encodeSeriesEntry(out, ref, labelsFromObject({ __name__: 'm', ref: String(ref) }));
  return out.view();
}

function samplesRecord(...samples: [number, number, number][]): Uint8Array {
  const writer = new SampleRecordWriter(new ByteWriter());
  writer.start(RECORD.samples);
  for (const [ref, time, value] of samples) writer.add(ref, time, float(value));
  return writer.out.view();
}

/** All records of a log as hex, with the place of each. */
function readAll(toleratesTear = false): {
  records: string[];
  places: [number, number][];
  reader: WalReader;
} {
  const reader = new WalReader(scanWalDirectory(folder).segments, { toleratesTear });
  const records: string[] = [];
  const places: [number, number][] = [];
  try {
    while (reader.next()) {
      records.push(toHex(reader.record));
      places.push([reader.segment, reader.offset]);
    }
  } finally {
    reader.close();
  }
  return { records, places, reader };
}

function corruption(toleratesTear = false): VarveError {
  try {
    readAll(toleratesTear);
  } catch (error) {
    if (error instanceof VarveError) return error;
    throw error;
  }
  throw new Error('no corruption was found');
}

describe('records', () => {
  test('have the bytes of the format description', () => {
    const series = new ByteWriter();
    series.u8(RECORD.series);
    encodeSeriesEntry(series, 1, labelsFromObject({ __name__: 'up', job: 'a' }));
    encodeSeriesEntry(series, 2, labelsFromObject({ __name__: 'up', job: 'b' }));
    expect(toHex(series.view())).toBe(toHex(hex(SERIES_GOLDEN)));
    expect(toHex(samplesRecord([1, T, 1], [2, T, 0.5], [1, T + 15_000, 2]))).toBe(toHex(hex(SAMPLES_GOLDEN)));
    const metadata = new ByteWriter();
    metadata.u8(RECORD.metadata);
    encodeMetadataEntry(metadata, 1, 2, '', 'h');
    expect(toHex(metadata.view())).toBe(toHex(hex(METADATA_GOLDEN)));
  });

  test('are read back entry by entry', () => {
    const series = new SeriesRecordReader();
    series.reset(hex(SERIES_GOLDEN).subarray(1));
    expect(series.next()).toBe(true);
    expect([series.ref, series.labels()]).toEqual([1, labelsFromObject({ __name__: 'up', job: 'a' })]);
    expect(series.next()).toBe(true);
    expect([series.ref, series.labels()]).toEqual([2, labelsFromObject({ __name__: 'up', job: 'b' })]);
    expect(series.next()).toBe(false);

    const samples = new SampleRecordReader();
    samples.reset(RECORD.samples, hex(SAMPLES_GOLDEN).subarray(1));
    const found = [];
    while (samples.next()) found.push([samples.ref, samples.timestampMs, toHex(samples.body)]);
    expect(found).toEqual([
      [1, T, '3ff0000000000000'],
      [2, T, '3fe0000000000000'],
      [1, T + 15_000, '4000000000000000'],
    ]);

    samples.reset(RECORD.histograms, hex(HISTOGRAM_GOLDEN).subarray(1));
    expect(samples.next()).toBe(true);
    expect([samples.ref, samples.timestampMs, samples.body.length]).toEqual([1, T, 31]);
    expect(samples.next()).toBe(false);

    const metadata = new MetadataRecordReader();
    metadata.reset(hex(METADATA_GOLDEN).subarray(1));
    expect(metadata.next()).toBe(true);
    expect(metadata).toMatchObject({ ref: 1, metricType: 2, unit: '', help: 'h' });
    expect(metadata.next()).toBe(false);

    const out = new ByteWriter();
    encodeTombstoneEntry(out, 7, -5, T);
    const tombstones = new TombstoneRecordReader();
    tombstones.reset(out.view());
    expect(tombstones.next()).toBe(true);
    expect([tombstones.ref, tombstones.minTime, tombstones.maxTime]).toEqual([7, -5, T]);
    expect(tombstones.next()).toBe(false);
  });

  test.each([
    ['series', new SeriesRecordReader(), SERIES_GOLDEN, 0],
    ['samples', new SampleRecordReader(), SAMPLES_GOLDEN, 2],
    ['histograms', new SampleRecordReader(), HISTOGRAM_GOLDEN, 7],
    ['metadata', new MetadataRecordReader(), METADATA_GOLDEN, 0],
  ])('of %s say so when they are cut off', (_name, reader, golden, type) => {
    const payload = hex(golden).subarray(1);
    let whole = 0;
    for (let length = 1; length < payload.length; length++) {
      const cut = payload.subarray(0, length);
      try {
        if (reader instanceof SampleRecordReader) reader.reset(type, cut);
        else reader.reset(cut);
        while (reader.next());
        whole++;
      } catch (error) {
        expect(error).toMatchObject({ kind: 'corruption' });
      }
    }
    // A cut between two entries, or right behind the base, leaves a valid record.
    expect(whole).toBeLessThanOrEqual(3);
  });

  test('keep times before the epoch and large refs', () => {
    const record = samplesRecord([2 ** 40, -1, 1], [1, -(2 ** 41), 2], [2 ** 45, 2 ** 42, 3]);
    const reader = new SampleRecordReader();
    reader.reset(record[0]!, record.subarray(1));
    const found = [];
    while (reader.next()) found.push([reader.ref, reader.timestampMs]);
    expect(found).toEqual([
      [2 ** 40, -1],
      [1, -(2 ** 41)],
      [2 ** 45, 2 ** 42],
    ]);
  });
});

describe('a log', () => {
  test('has the bytes of the format description', () => {
    const writer = new WalWriter(folder);
    writer.append(hex(SERIES_GOLDEN));
    writer.append(hex(SAMPLES_GOLDEN));
    writer.finish();
    const expected = Buffer.alloc(PAGE_BYTES);
    hex(`01 0037 c7230a26 ${SERIES_GOLDEN} 01 0031 28f5a24d ${SAMPLES_GOLDEN}`).copy(expected);
    expect(readFileSync(join(folder, '00000000')).equals(expected)).toBe(true);
    expect(readAll().places).toEqual([
      [0, 0],
      [0, 62],
    ]);
  });

  test('gives back records of every size, across pages and segments', () => {
    const sizes = [
      0, 1, 6, 7, 8, 100, 32_753, 32_754, 32_755, 32_760, 32_761, 32_762, 65_529, 100_000, 400_000, 3,
    ];
    // Also sizes that leave 0 to 8 bytes of a page.
    for (let i = 0; i < 10; i++) sizes.push(PAGE_BYTES - 7 - 20 - 7 - i, 13, 20);
    const records = sizes.map((size, i) => Buffer.alloc(size, i + 1));
    const writer = new WalWriter(folder, 3, 8 * PAGE_BYTES);
    for (const record of records) writer.append(record);
    writer.finish();
    const { records: found, places } = readAll();
    expect(found).toEqual(records.map(toHex));
    expect(places[0]).toEqual([3, 0]);
    expect(places.at(-1)![0]).toBeGreaterThan(4);
    const names = readdirSync(folder);
    for (const name of names) expect(readFileSync(join(folder, name)).length % PAGE_BYTES).toBe(0);
  });

  test('may be compressed', () => {
    const record = samplesRecord(
      ...Array.from({ length: 1000 }, (_, i): [number, number, number] => [i, T, 1]),
    );
    const writer = new WalWriter(folder);
    writer.append(codecKernel().snappyEncode(record), SNAPPY_FLAG);
    writer.append(record);
    writer.finish();
    expect(readAll().records).toEqual([toHex(record), toHex(record)]);
  });

  test('of nothing is empty', () => {
    expect(readAll().records).toEqual([]);
    writeFileSync(join(folder, '00000000'), '');
    expect(readAll().records).toEqual([]);
    writeFileSync(join(folder, '00000000'), Buffer.alloc(PAGE_BYTES));
    expect(readAll().records).toEqual([]);
  });

  test('with a gap or a foreign start is refused', () => {
    for (const name of ['00000002', '00000004']) writeFileSync(join(folder, name), '');
    expect(() => replayOrder(folder)).toThrow(expect.objectContaining({ code: 'wal-gap' }));
    mkdirSync(join(folder, 'checkpoint.00000003'));
    expect(replayOrder(folder).segments.map((segment) => segment.number)).toEqual([4]);
    mkdirSync(join(folder, 'checkpoint.00000002'));
    rmSync(join(folder, 'checkpoint.00000003'), { recursive: true });
    expect(() => replayOrder(folder)).toThrow(/segment 00000003 is missing/);
  });
});

describe('a torn log', () => {
  const records = [
    seriesRecord(1, 2),
    samplesRecord([1, T, 1], [2, T, 2]),
    Buffer.alloc(40_000, 0x77),
    samplesRecord([1, T, 3]),
  ];
  /** The log without the padding at its end, as it lies on disk while it is written. */
  let bytes: Buffer;
  let ends: number[];
  let path = '';

  beforeEach(() => {
    path = join(folder, segmentName(0));
    const out = new ByteWriter();
    ends = [0];
    for (const record of records) {
      encodeRecordPages(record, out.length, 0, out);
      ends.push(out.length);
    }
    bytes = Buffer.from(out.view());
  });

  test('ends at its last whole record, wherever it was cut', () => {
    for (
      let length = 0;
      length <= bytes.length;
      length += length > 300 && length < bytes.length - 300 ? 101 : 1
    ) {
      writeFileSync(path, bytes.subarray(0, length));
      const whole = ends.filter((end) => end <= length).length - 1;
      const { records: found, reader } = readAll(true);
      expect({ length, found: found.length }).toEqual({ length, found: whole });
      const isTorn = length > ends[whole]!;
      expect(reader.tear === null).toBe(!isTorn);
      if (reader.tear !== null) {
        expect(reader.tear.offset).toBe(ends[whole]);
        if (length % 64 !== 0) continue;
        repairTear(reader.tear);
        expect(readAll().records.length).toBe(whole);
      }
    }
  });

  test('may end in zeros that a crash left instead of data', () => {
    for (let length = 1; length < 200; length++) {
      writeFileSync(path, Buffer.concat([bytes.subarray(0, length), Buffer.alloc(PAGE_BYTES * 2 - length)]));
      const whole = ends.filter((end) => end <= length).length - 1;
      // A type byte and nothing but zeros behind it is a record of no bytes.
      const found = readAll(true).records.filter((record) => record !== '');
      // Where only zeros are missing, the record is whole all the same.
      expect(found.length - whole).toBeGreaterThanOrEqual(0);
      expect(found).toEqual(records.slice(0, found.length).map(toHex));
    }
  });

  test('is an error in any segment but the newest', () => {
    writeFileSync(path, bytes.subarray(0, ends[2]! + 20));
    writeFileSync(join(folder, segmentName(1)), '');
    expect(corruption(true)).toMatchObject({
      kind: 'corruption',
      details: { segment: 0, goodBytes: ends[2] },
    });
  });

  test('is an error when a tear is not tolerated', () => {
    writeFileSync(path, bytes.subarray(0, ends[1]! + 5));
    expect(corruption()).toMatchObject({
      code: 'wal-fragment-length',
      details: { file: path, segment: 0, offset: ends[1] },
    });
  });

  test('never gives a wrong record for a flipped byte, and is no tear when something valid follows', () => {
    const truth = records.map(toHex);
    for (let at = 0; at < bytes.length; at += at > 300 && at < bytes.length - 300 ? 97 : 1) {
      const flipped = Buffer.from(bytes);
      flipped[at]! ^= 1 << (at % 8);
      writeFileSync(path, flipped);
      let found: string[] | null = null;
      try {
        found = readAll(true).records;
      } catch (error) {
        expect(error).toMatchObject({
          kind: expect.stringMatching(/corruption|unavailable|client/),
          details: { segment: 0 },
        });
      }
      if (found !== null) {
        expect(found).toEqual(truth.slice(0, found.length));
        // Only the last record can be lost in silence.
        expect(found.length).toBeGreaterThanOrEqual(records.length - 1);
      }
    }
  });

  test('says where and what', () => {
    const flipped = Buffer.from(bytes);
    flipped[ends[1]! + 10]! ^= 1;
    writeFileSync(path, flipped);
    expect(corruption(true)).toMatchObject({
      code: 'wal-crc',
      details: { file: path, segment: 0, offset: ends[1] },
    });
    expect(corruption(true).message).toMatch(/checksum [0-9a-f]+, the bytes give [0-9a-f]+ at offset/);
  });
});

const peers = process.env['PEERS_DIR'] ?? join(homedir(), 'peers');
const tool = [process.env['PROMTOOL_BIN'] ?? '', join(peers, 'bin/promtool')].find(
  (path) => path !== '' && existsSync(path),
);
if (tool === undefined)
  process.stderr.write('SKIPPED: no promtool (set PROMTOOL_BIN); logs not shown to it\n');

(tool === undefined ? describe.skip : describe)('promtool', () => {
  test('reads a checkpoint and segments of ours', () => {
    const server = folder;
    folder = join(server, 'wal');
    mkdirSync(folder);
    const files = [
      [seriesRecord(1, 2, 3), samplesRecord([1, T, 1], [2, T, 1], [3, T, 1])],
      [
        Buffer.concat([
          hex('01 0000000000000009'),
          Buffer.from([1, 1, 97, 0xff, 0xff, 0x03]),
          Buffer.alloc(0xffff, 'x'),
        ]),
      ],
      [samplesRecord([1, T + 1000, 2], [3, T + 1000, 2], [2, T + 2000, 0.5], [9, T + 1000, 9])],
    ];
    files.forEach((file, number) => {
      const writer = new WalWriter(folder, number);
      for (const record of file) {
        if (number === 2) writer.append(codecKernel().snappyEncode(record), SNAPPY_FLAG);
        else writer.append(record);
      }
      writer.finish();
    });
    writeCheckpoint({ directory: folder, upTo: 1, keepsSeries: (ref) => ref !== 3, minTime: T });
    removeReplaced(folder, 1);
    const result = spawnSync(tool ?? '', ['tsdb', 'dump', '--sandbox-dir-root', server, server], {
      encoding: 'utf8',
    });
    folder = server;
    expect({ status: result.status, stderr: result.stderr.includes('rror') ? result.stderr : '' }).toEqual({
      status: 0,
      stderr: '',
    });
    expect(result.stdout.trim().split('\n').sort()).toEqual(
      [
        `{__name__="m", ref="1"} 1 ${T}`,
        `{__name__="m", ref="1"} 2 ${T + 1000}`,
        `{__name__="m", ref="2"} 1 ${T}`,
        `{__name__="m", ref="2"} 0.5 ${T + 2000}`,
        `{a="${'x'.repeat(0xffff)}"} 9 ${T + 1000}`,
      ].sort(),
    );
  });
});

describe('a checkpoint', () => {
  function entries(): string[] {
    const order = replayOrder(folder);
    const reader = new WalReader([...order.checkpointSegments, ...order.segments], { toleratesTear: false });
    const found: string[] = [];
    const series = new SeriesRecordReader();
    const samples = new SampleRecordReader();
    const metadata = new MetadataRecordReader();
    while (reader.next()) {
      if (reader.type === RECORD.series) {
        series.reset(reader.payload);
        while (series.next()) found.push(`series ${series.ref} ${series.labels()[1]!.value}`);
      } else if (reader.type === RECORD.metadata) {
        metadata.reset(reader.payload);
        while (metadata.next()) found.push(`metadata ${metadata.ref} ${metadata.help}`);
      } else if (reader.type === RECORD.tombstones) found.push('tombstones');
      else if (reader.type <= RECORD.customFloatHistograms) {
        samples.reset(reader.type, reader.payload);
        while (samples.next())
          found.push(`${reader.type} ${samples.ref} ${samples.timestampMs - T} ${toHex(samples.body)}`);
      }
    }
    reader.close();
    return found;
  }

  function writeLog(): void {
    const metadata = (ref: number, help: string): Uint8Array => {
      const out = new ByteWriter();
      out.u8(RECORD.metadata);
      encodeMetadataEntry(out, ref, 1, '', help);
      return out.view();
    };
    const tombstone = new ByteWriter();
    tombstone.u8(RECORD.tombstones);
    encodeTombstoneEntry(tombstone, 1, T, T + 500);
    encodeTombstoneEntry(tombstone, 2, T + 500, T + 1500);
    const files = [
      [seriesRecord(1, 2, 3), metadata(1, 'old'), samplesRecord([1, T, 1], [2, T, 1], [3, T, 1])],
      [metadata(1, 'new'), metadata(3, 'gone'), hex(HISTOGRAM_GOLDEN), hex('0d 00')],
      [samplesRecord([1, T + 1000, 2], [3, T + 1000, 2], [2, T + 2000, Number.NaN]), tombstone.view()],
      [seriesRecord(4), samplesRecord([4, T + 3000, 4])],
    ];
    files.forEach((file, number) => {
      const writer = new WalWriter(folder, number);
      for (const record of file) writer.append(record);
      writer.finish();
    });
  }

  test('keeps living series, newest metadata and recent samples', () => {
    writeLog();
    const stats = writeCheckpoint({
      directory: folder,
      upTo: 2,
      keepsSeries: (ref) => ref !== 3,
      minTime: T + 1000,
    });
    expect(stats).toEqual({ seriesKept: 2, seriesDropped: 1, samplesKept: 2, samplesDropped: 5 });
    removeReplaced(folder, 2);
    expect(readdirSync(folder).sort()).toEqual(['00000003', 'checkpoint.00000002']);
    expect(entries()).toEqual([
      'series 1 1',
      'series 2 2',
      `2 1 1000 4000000000000000`,
      `2 2 2000 7ff8000000000000`,
      'tombstones',
      'metadata 1 new',
      'series 4 4',
      `2 4 3000 4010000000000000`,
    ]);
  });

  test('is made from the one before it', () => {
    writeLog();
    const options = { directory: folder, keepsSeries: () => true, minTime: 0 };
    const before = entries()
      .filter((entry) => !entry.startsWith('metadata'))
      .sort();
    writeCheckpoint({ ...options, upTo: 0 });
    removeReplaced(folder, 0);
    writeCheckpoint({ ...options, upTo: 1 });
    removeReplaced(folder, 1);
    writeCheckpoint({ ...options, upTo: 2 });
    removeReplaced(folder, 2);
    expect(scanWalDirectory(folder).checkpoints.map((one) => one.number)).toEqual([2]);
    const after = entries();
    expect(after.filter((entry) => !entry.startsWith('metadata')).sort()).toEqual(before);
    expect(after.filter((entry) => entry.startsWith('metadata'))).toEqual([
      'metadata 1 new',
      'metadata 3 gone',
    ]);
  });

  test('of a damaged log leaves everything as it was', () => {
    writeLog();
    const path = join(folder, segmentName(1));
    appendFileSync(path, Buffer.from([1, 2, 3]));
    const names = readdirSync(folder);
    expect(() =>
      writeCheckpoint({ directory: folder, upTo: 2, keepsSeries: () => true, minTime: 0 }),
    ).toThrow(expect.objectContaining({ kind: 'corruption' }));
    expect(readdirSync(folder)).toEqual(names);
  });

  test('that was not finished is removed on start', () => {
    mkdirSync(join(folder, 'checkpoint.00000005.tmp'));
    removeLeftovers(folder);
    expect(existsSync(join(folder, 'checkpoint.00000005.tmp'))).toBe(false);
  });
});
