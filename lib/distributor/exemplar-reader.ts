import { EXEMPLAR_LABELS_LENGTH_MAX, type Exemplar } from '../exemplar/index.js';
import { normaliseLabels, parseLabelBytes } from './label-bytes.js';

/**
 * Finds the exemplars of a request that the scanner took: WriteRequest { timeseries 1 }, TimeSeries { exemplars 3 },
 * Exemplar { labels 1 repeated Label; value 2 double; timestamp 3 int64 }. Few requests have any, so this walks the
 * bytes once more instead of burdening the scanner.
 */

const TIME_SERIES = 0x0a;
const EXEMPLAR = 0x1a;
const LABEL = 0x0a;
const VALUE = 0x11;
const TIMESTAMP = 0x18;

/**
 * @param request a decoded request that was scanned without error
 * @param visit called with the number of the series and the bytes of the exemplar's message, a view
 */
export function eachExemplar(
  request: Uint8Array,
  visit: (seriesIndex: number, message: Uint8Array) => void,
): void {
  const outer = new Fields(request, 0, request.length);
  const inner = new Fields(request, 0, 0);
  for (let seriesIndex = -1; outer.next(); ) {
    if (outer.tag !== TIME_SERIES) continue;
    seriesIndex++;
    inner.enter(outer.from, outer.to);
    while (inner.next()) {
      if (inner.tag === EXEMPLAR) visit(seriesIndex, request.subarray(inner.from, inner.to));
    }
  }
}

/** Why an exemplar was not stored; ids as in Cortex and Mimir. */
export const EXEMPLAR_REASON = {
  malformed: 'exemplar_malformed',
  labelsMissing: 'exemplar_labels_missing',
  labelsTooLong: 'exemplar_labels_too_long',
  timestampInvalid: 'exemplar_timestamp_invalid',
  tooFarInFuture: 'exemplar_too_far_in_future',
  outOfOrder: 'exemplar_out_of_order',
  seriesMissing: 'exemplar_series_missing',
} as const;

export type ExemplarReason = (typeof EXEMPLAR_REASON)[keyof typeof EXEMPLAR_REASON];

/** Reads and checks one exemplar. */
export function parseExemplar(message: Uint8Array, futureLimitMs: number): Exemplar | ExemplarReason {
  const labelFields: Uint8Array[] = [];
  let value = 0;
  let timestampMs = 0;
  let labels: Exemplar['labels'] | null;
  try {
    const fields = new Fields(message, 0, message.length);
    while (fields.next()) {
      const { tag, start, from, to } = fields;
      if (tag === LABEL) labelFields.push(message.subarray(start, to));
      else if (tag === VALUE)
        value = new DataView(message.buffer, message.byteOffset + from).getFloat64(0, true);
      else if (tag === TIMESTAMP) timestampMs = signedVarint(message, from);
    }
    labels = normaliseLabels(labelFields.flatMap(parseLabelBytes));
  } catch {
    return EXEMPLAR_REASON.malformed;
  }
  if (labels === null) return EXEMPLAR_REASON.malformed;
  if (labels.length === 0) return EXEMPLAR_REASON.labelsMissing;
  let length = 0;
  for (const label of labels) length += characterCount(label.name) + characterCount(label.value);
  if (length > EXEMPLAR_LABELS_LENGTH_MAX) return EXEMPLAR_REASON.labelsTooLong;
  if (timestampMs === 0) return EXEMPLAR_REASON.timestampInvalid;
  if (timestampMs > futureLimitMs) return EXEMPLAR_REASON.tooFarInFuture;
  return { labels, value, timestampMs };
}

/** Walks the fields of a message. */
class Fields {
  readonly #bytes: Uint8Array;
  #at: number;
  #end: number;
  tag = 0;
  /** Where the tag of the field stands, and the bounds of its value. */
  start = 0;
  from = 0;
  to = 0;

  constructor(bytes: Uint8Array, from: number, end: number) {
    this.#bytes = bytes;
    this.#at = from;
    this.#end = end;
  }

  enter(from: number, end: number): void {
    this.#at = from;
    this.#end = end;
  }

  /** Steps to the next field. @throws RangeError on broken bytes */
  next(): boolean {
    if (this.#at >= this.#end) return false;
    this.start = this.#at;
    this.tag = this.#uvarint();
    this.from = this.#at;
    switch (this.tag & 7) {
      case 0:
        this.#uvarint();
        break;
      case 1:
        this.#at += 8;
        break;
      case 2: {
        const length = this.#uvarint();
        this.from = this.#at;
        this.#at += length;
        break;
      }
      case 5:
        this.#at += 4;
        break;
      default:
        throw new RangeError('unknown wire type');
    }
    if (this.#at > this.#end) throw new RangeError('truncated field');
    this.to = this.#at;
    return true;
  }

  #uvarint(): number {
    let value = 0;
    let scale = 1;
    for (let i = 0; i < 10 && this.#at < this.#end; i++) {
      const byte = this.#bytes[this.#at++]!;
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) return value;
      scale *= 128;
    }
    throw new RangeError('truncated varint');
  }
}

/** An int64 as a number, exact up to 2^53. */
function signedVarint(bytes: Uint8Array, at: number): number {
  let value = 0n;
  for (let shift = 0n; shift < 70n; shift += 7n) {
    const byte = bytes[at++]!;
    value |= BigInt(byte & 0x7f) << shift;
    if (byte < 0x80) break;
  }
  return Number(BigInt.asIntN(64, value));
}

function characterCount(text: string): number {
  let count = 0;
  for (const _ of text) count++;
  return count;
}
