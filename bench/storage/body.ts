import { bytesField } from '../../e2e/wire.js';
import { labelsOf } from '../load/index.js';
import { firstValue, instanceOf, nextValue, type State, scrapeOffsetMs, stateOf } from './values.js';

const SAMPLE_BYTES = 16;
const SAMPLE_FIELD_BYTES = SAMPLE_BYTES + 2;
/** A literal of snappy with a length of two bytes. */
const LITERAL_BYTES = 65_536;
const LITERAL_TAG = 61 << 2;

export interface BodyShape {
  readonly firstSeries: number;
  readonly seriesCount: number;
  readonly startMs: number;
  readonly intervalMs: number;
  /** Rounds in one body at most. */
  readonly roundsMax: number;
}

/**
 * The remote-write requests for a run of series: several scrapes of each in one request, as an agent sends them that
 * catches up. Rounds have to be asked for in order.
 */
export class HistoryBody {
  readonly #shape: BodyShape;
  readonly #labels: readonly Uint8Array[];
  readonly #values: Float64Array;
  readonly #plain: Buffer;
  readonly #packed: Buffer;
  readonly #view: DataView;
  /** Samples in the last request. */
  samples = 0;

  constructor(shape: BodyShape) {
    this.#shape = shape;
    const numbers = Array.from({ length: shape.seriesCount }, (_, i) => shape.firstSeries + i);
    this.#labels = numbers.map((series) =>
      Buffer.concat(
        labelsOf(series).map(([name, value]) =>
          bytesField(1, Buffer.concat([bytesField(1, name), bytesField(2, value)])),
        ),
      ),
    );
    this.#values = Float64Array.from(numbers, firstValue);
    const bytesMax = this.#labels.reduce(
      (sum, labels) => sum + 6 + labels.length + shape.roundsMax * SAMPLE_FIELD_BYTES,
      0,
    );
    this.#plain = Buffer.alloc(bytesMax);
    this.#packed = Buffer.alloc(bytesMax + 5 + 3 * Math.ceil(bytesMax / LITERAL_BYTES));
    this.#view = new DataView(this.#plain.buffer, this.#plain.byteOffset, bytesMax);
  }

  /**
   * The request of some rounds, in the frame of snappy but not made smaller, which costs its sender next to nothing.
   * Valid until the next call. Empty when no instance was up.
   */
  fill(firstRound: number, roundCount: number): Uint8Array {
    const { firstSeries, intervalMs } = this.#shape;
    const plain = this.#plain;
    let at = 0;
    let instance = -1;
    let states: State[] = [];
    let present = 0;
    this.samples = 0;
    for (let i = 0; i < this.#labels.length; i++) {
      if (instanceOf(firstSeries + i) !== instance) {
        instance = instanceOf(firstSeries + i);
        states = Array.from({ length: roundCount }, (_, k) => stateOf(instance, firstRound + k, intervalMs));
        present = states.filter((state) => state !== 'absent').length;
      }
      if (present === 0) continue;
      this.samples += present;
      const labels = this.#labels[i]!;
      plain[at++] = 0x0a;
      at = putVarint(plain, at, labels.length + present * SAMPLE_FIELD_BYTES);
      plain.set(labels, at);
      at = this.#putSamples(i, firstRound, states, at + labels.length);
    }
    return at === 0 ? plain.subarray(0, 0) : this.#pack(at);
  }

  #putSamples(i: number, firstRound: number, states: readonly State[], begin: number): number {
    const { firstSeries, startMs, intervalMs } = this.#shape;
    const series = firstSeries + i;
    const offsetMs = startMs + scrapeOffsetMs(instanceOf(series), intervalMs);
    const plain = this.#plain;
    let at = begin;
    let value = this.#values[i]!;
    for (let k = 0; k < states.length; k++) {
      if (states[k] === 'absent') continue;
      value = nextValue(series, firstRound + k, value, states[k] === 'reset');
      plain[at] = 0x12;
      plain[at + 1] = SAMPLE_BYTES;
      plain[at + 2] = 0x09;
      this.#view.setFloat64(at + 3, value, true);
      plain[at + 11] = 0x10;
      at = putVarint(plain, at + 12, offsetMs + (firstRound + k) * intervalMs);
    }
    this.#values[i] = value;
    return at;
  }

  #pack(length: number): Uint8Array {
    const packed = this.#packed;
    let at = putVarint(packed, 0, length);
    for (let from = 0; from < length; from += LITERAL_BYTES) {
      const size = Math.min(LITERAL_BYTES, length - from);
      packed[at] = LITERAL_TAG;
      packed.writeUInt16LE(size - 1, at + 1);
      this.#plain.copy(packed, at + 3, from, from + size);
      at += 3 + size;
    }
    return packed.subarray(0, at);
  }
}

/** Times of ms take six bytes until the year 2109. */
function putVarint(out: Uint8Array, begin: number, value: number): number {
  let at = begin;
  let rest = value;
  while (rest >= 128) {
    out[at++] = (rest % 128) | 128;
    rest = Math.floor(rest / 128);
  }
  out[at++] = rest;
  return at;
}
