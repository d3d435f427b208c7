import { bytesField, compress, varint } from '../../e2e/wire.js';
import { INTERVAL_MS, labelsOf, nextValue } from '../load/index.js';

const SERIES_PER_REQUEST = 100;
const SAMPLE_BYTES = 16;
const TIMESTAMP_OFFSET = 10;

/**
 * Sends the past of the bench's series, all samples of a series in one request: the same head as by scrape after scrape,
 * in a fraction of the time, because the labels come once.
 */
export async function sendHistory(
  pushUrl: string,
  seriesCount: number,
  rounds: number,
  startMs: number,
): Promise<void> {
  for (let first = 0; first < seriesCount; first += SERIES_PER_REQUEST * 4) {
    const bodies: Uint8Array[] = [];
    for (
      let from = first;
      from < Math.min(seriesCount, first + SERIES_PER_REQUEST * 4);
      from += SERIES_PER_REQUEST
    ) {
      bodies.push(compress(bodyOf(from, Math.min(seriesCount, from + SERIES_PER_REQUEST), rounds, startMs)));
    }
    await Promise.all(bodies.map((body) => post(pushUrl, body)));
  }
}

function bodyOf(from: number, to: number, rounds: number, startMs: number): Uint8Array {
  const parts: Uint8Array[] = [];
  for (let i = from; i < to; i++) {
    const labels = labelsOf(i).map(([name, value]) =>
      bytesField(1, Buffer.concat([bytesField(1, name), bytesField(2, value)])),
    );
    // Every sample: tag, length, tag, value, tag, timestamp of six bytes.
    const samples = Buffer.alloc(rounds * (SAMPLE_BYTES + 2));
    let value = 0;
    for (let round = 0; round < rounds; round++) {
      const at = round * (SAMPLE_BYTES + 2);
      value = nextValue(i, round, value);
      samples[at] = 0x12;
      samples[at + 1] = SAMPLE_BYTES;
      samples[at + 2] = 0x09;
      samples.writeDoubleLE(value, at + 3);
      samples[at + 2 + TIMESTAMP_OFFSET - 1] = 0x10;
      samples.set(varint(startMs + round * INTERVAL_MS), at + 2 + TIMESTAMP_OFFSET);
    }
    parts.push(bytesField(1, Buffer.concat([...labels, samples])));
  }
  return Buffer.concat(parts);
}

async function post(url: string, body: Uint8Array): Promise<void> {
  for (let attempt = 0; ; attempt++) {
    const response = await fetch(url, {
      method: 'POST',
      headers: { 'content-type': 'application/x-protobuf', 'content-encoding': 'snappy' },
      body,
    });
    const text = await response.text();
    if (response.ok) return;
    if (response.status !== 503 || attempt === 20) throw new Error(`${url}: ${response.status} ${text}`);
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
}
