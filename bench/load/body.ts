import { bytesField, varint } from '../../e2e/wire.js';
import { labelsOf } from './series.js';
import { nextValue } from './values.js';

// A sample as it stands in a body: tag, 8 bytes of value, tag, 6 bytes of timestamp (41 bits, until the year 2109).
const VALUE_OFFSET = 1;
const TIMESTAMP_OFFSET = 10;
const TIMESTAMP_BYTES = 6;
const SAMPLE_BYTES = TIMESTAMP_OFFSET + TIMESTAMP_BYTES;

/**
 * The body of one remote-write request for a run of series, built once. `fill` then patches values and timestamps in
 * place for each round, which costs a few nanoseconds per sample.
 */
export class RequestBody {
  readonly bytes: Buffer;
  private readonly first: number;
  private readonly offsets: Uint32Array;
  private readonly values: Float64Array;
  private round = -1;

  constructor(firstSeries: number, seriesCount: number) {
    this.first = firstSeries;
    this.offsets = new Uint32Array(seriesCount);
    this.values = new Float64Array(seriesCount);
    const sample = Buffer.alloc(SAMPLE_BYTES);
    sample[0] = 0x09;
    sample[TIMESTAMP_OFFSET - 1] = 0x10;
    const parts: Uint8Array[] = [];
    let length = 0;
    for (let i = 0; i < seriesCount; i++) {
      const labels = labelsOf(firstSeries + i).map(([name, value]) =>
        bytesField(1, Buffer.concat([bytesField(1, name), bytesField(2, value)])),
      );
      const series = bytesField(1, Buffer.concat([...labels, bytesField(2, sample)]));
      parts.push(series);
      length += series.length;
      this.offsets[i] = length - SAMPLE_BYTES;
    }
    this.bytes = Buffer.concat(parts, length);
  }

  /** Writes the samples of the next round; rounds have to come in order, as each value follows from the one before. */
  fill(timestampMs: number): void {
    this.round++;
    const timestamp = varint(timestampMs);
    if (timestamp.length !== TIMESTAMP_BYTES) throw new Error(`timestamp out of range: ${timestampMs}`);
    const { bytes, offsets, values, first, round } = this;
    for (let i = 0; i < offsets.length; i++) {
      const value = nextValue(first + i, round, values[i]!);
      values[i] = value;
      const offset = offsets[i]!;
      bytes.writeDoubleLE(value, offset + VALUE_OFFSET);
      bytes.set(timestamp, offset + TIMESTAMP_OFFSET);
    }
  }
}
