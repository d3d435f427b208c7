import { FloatHistogram, type IntegerHistogram } from '../../histogram/index.js';
import { ByteWriter } from '../index/index.js';
import { CUSTOM_BUCKETS_SCHEMA, RECORD } from './format.js';
import {
  decodeFloatHistogramBody,
  decodeHistogramBody,
  encodeFloatHistogramBody,
  encodeHistogramBody,
} from './histogram-body.js';
import { SampleRecordReader, SampleRecordWriter } from './records.js';

/** A record is ended once it is this long. */
const RECORD_BYTES = 64 * 1024;

/**
 * Gathers histograms into records 7 to 10, in the order in which they come: a record ends when one of another type
 * follows, so that replay meets the samples of a series as they were appended.
 */
export class HistogramRecords {
  readonly #writer = new SampleRecordWriter(new ByteWriter(RECORD_BYTES));
  readonly #body = new ByteWriter(1024);
  readonly #emit: (record: Uint8Array) => void;
  #type = 0;

  /** @param emit is given each finished record, type byte included, to be copied */
  constructor(emit: (record: Uint8Array) => void) {
    this.#emit = emit;
  }

  add(ref: number, timeMs: number, histogram: IntegerHistogram | FloatHistogram): void {
    const type = recordTypeOf(histogram);
    if (type !== this.#type || this.#writer.out.length >= RECORD_BYTES) {
      this.flush();
      this.#type = type;
      this.#writer.start(type);
    }
    const body = this.#body;
    body.clear();
    if (histogram instanceof FloatHistogram) encodeFloatHistogramBody(body, histogram);
    else encodeHistogramBody(body, histogram);
    this.#writer.add(ref, timeMs, body.view());
  }

  /** Hands over what has not been yet. */
  flush(): void {
    if (this.#type !== 0 && !this.#writer.isEmpty) this.#emit(this.#writer.out.view());
    this.#type = 0;
  }
}

function recordTypeOf(histogram: IntegerHistogram | FloatHistogram): number {
  const isCustom = histogram.layout.schema === CUSTOM_BUCKETS_SCHEMA;
  if (histogram instanceof FloatHistogram)
    return isCustom ? RECORD.customFloatHistograms : RECORD.floatHistograms;
  return isCustom ? RECORD.customHistograms : RECORD.histograms;
}

/** The most bytes a histogram takes in the log, with a record and frames of its own. */
export function histogramRecordRoom({ layout }: IntegerHistogram | FloatHistogram): number {
  const spans = layout.positiveSpans.lengths.length + layout.negativeSpans.lengths.length;
  return 192 + spans * 15 + (layout.positiveCount + layout.negativeCount + layout.customBounds.length) * 10;
}

/** Whether `eachHistogram` reads records of this type. */
export function isHistogramRecord(type: number): boolean {
  return type >= RECORD.histograms && type <= RECORD.customFloatHistograms;
}

/**
 * Visits the histograms of a record of type 7 to 10.
 * @param payload the record behind its type byte
 * @throws CorruptionError when it is not whole
 */
export function eachHistogram(
  type: number,
  payload: Uint8Array,
  visit: (ref: number, timeMs: number, body: () => IntegerHistogram | FloatHistogram) => void,
): void {
  const reader = new SampleRecordReader();
  const isFloat = type === RECORD.floatHistograms || type === RECORD.customFloatHistograms;
  const decode = (): IntegerHistogram | FloatHistogram =>
    isFloat ? decodeFloatHistogramBody(reader.body) : decodeHistogramBody(reader.body);
  reader.reset(type, payload);
  while (reader.next()) visit(reader.ref, reader.timestampMs, decode);
}
