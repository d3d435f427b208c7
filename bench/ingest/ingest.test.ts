import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { encodeRequest } from '../../e2e/wire.js';
import {
  type Corpus,
  INTERVAL_MS,
  kindOf,
  labelsOf,
  nextValue,
  RequestBody,
  writeCorpus,
} from '../load/index.js';

/** The benches measure what this load is: it must not change unnoticed. */
const SHAPE = { series: 4100, rounds: 3, startMs: 1_700_000_010_000 };

describe('the load of the benches', () => {
  const folder = mkdtempSync(join(tmpdir(), 'varve-load-'));
  let corpus: Corpus;
  beforeAll(() => {
    corpus = writeCorpus(join(folder, 'load'), SHAPE);
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  test('is the same for ever', () => {
    expect(corpus.checksum.toString(16)).toBe('fd10fccf');
    expect(corpus.samples).toBe(12_300);
    expect(corpus.requestsPerRound).toBe(3);
  });

  test('has eight labels in order and about 240 bytes per sample', () => {
    for (const index of [0, 7, 1234, 999_999]) {
      const names = labelsOf(index).map(([name]) => name);
      expect(names.length).toBe(8);
      expect(names).toEqual([...names].sort());
    }
    expect(corpus.plainBytes / corpus.samples).toBeGreaterThan(220);
    expect(corpus.plainBytes / corpus.samples).toBeLessThan(280);
  });

  test('has no series twice', () => {
    const seen = new Set<string>();
    for (let i = 0; i < 20_000; i++) seen.add(JSON.stringify(labelsOf(i)));
    expect(seen.size).toBe(20_000);
  });

  test('counters never fall and constants never move', () => {
    for (let series = 0; series < 100; series++) {
      let value = nextValue(series, 0, 0);
      for (let round = 1; round < 50; round++) {
        const next = nextValue(series, round, value);
        if (kindOf(series) === 'counter') expect(next).toBeGreaterThanOrEqual(value);
        if (kindOf(series) === 'constant') expect(next).toBe(value);
        value = next;
      }
    }
  });

  test('a patched body is what an encoder writes', () => {
    const body = new RequestBody(40, 25);
    body.fill(SHAPE.startMs);
    body.fill(SHAPE.startMs + INTERVAL_MS);
    const expected = encodeRequest(
      Array.from({ length: 25 }, (_, i) => ({
        labels: labelsOf(40 + i),
        samples: [
          { value: nextValue(40 + i, 1, nextValue(40 + i, 0, 0)), timestampMs: SHAPE.startMs + INTERVAL_MS },
        ],
      })),
    );
    expect(body.bytes.equals(expected)).toBe(true);
  });

  test('the requests stand in the file where the index says', () => {
    const file = readFileSync(corpus.file);
    expect(file.length).toBe(corpus.compressedBytes);
    let bytes = 0;
    for (let i = 0; i < corpus.index.length; i += 2) bytes += corpus.index[i + 1]!;
    expect(bytes).toBe(corpus.compressedBytes);
  });
});
