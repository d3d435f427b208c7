import type { FloatHistogram } from '../histogram/index.js';
import { FORMAT_POINTS_MAX, formatKernel } from '../kernel/index.js';
import type { LabelSet } from '../labels/index.js';
import type {
  QueryResult,
  QueryStats,
  QueryValue,
  RawSeries,
  ResultSeries,
  StepSamples,
} from '../promql/exec/index.js';
import { HistogramWriter } from './histogram-json.js';
import {
  ByteWriter,
  FLOAT_BYTES_MAX,
  formatFloat,
  formatPlain,
  quoteJson,
  quoteJsonHtml,
  TIMESTAMP_BYTES_MAX,
  writeFloat,
  writeTimestamp,
} from './json-bytes.js';
import { writeMatrixColumns, writeVectorColumns } from './series-writer.js';

/** Prometheus shows this many warnings, and as many infos, and counts the rest. */
const ANNOTATIONS_MAX = 10;
/** Vectors shorter than this are not worth making a thread's kernel for, which takes a few milliseconds. */
const KERNEL_FLOATS_MIN = 16;
const COMMA = 44;
const OPEN = 91;
const CLOSE = 93;
const CLOSE_BRACE = 125;

type MatrixValue = Extract<QueryValue, { readonly type: 'matrix' }>;

export interface EncodeOptions {
  readonly withStats: boolean;
  /** Seconds the query waited for a thread; part of the statistics. */
  readonly execQueueTime: number;
  /** Told the length of the text now and then; throws to end the writing. */
  readonly guard?: AnswerGuard;
}

/** Looks at a text in the making; see ByteWriter. */
export type AnswerGuard = (byteLength: number) => void;

/** The whole answer to query and query_range: `status`, `data` with `resultType` first, warnings and infos. */
export function encodeQueryResult(result: QueryResult, options: EncodeOptions): Uint8Array<ArrayBuffer> {
  const { value } = result;
  const out = new ByteWriter(estimateBytes(result), options.guard);
  const type = value.type === 'rawMatrix' ? 'matrix' : value.type;
  out.text(`{"status":"success","data":{"resultType":"${type}","result":`);
  switch (value.type) {
    case 'scalar':
      out.text(`[${formatFloat(value.timestampMs / 1000)},"${formatPlain(value.value)}"]`);
      break;
    case 'string':
      out.text(`[${formatFloat(value.timestampMs / 1000)},${quoteJsonHtml(value.value)}]`);
      break;
    case 'vector':
      out.byte(OPEN);
      if (value.columns === undefined || value.columns.rows.length < KERNEL_FLOATS_MIN)
        writeVector(out, value.timestampMs, value.series);
      else writeVectorColumns(out, value.timestampMs, value.columns);
      out.byte(CLOSE);
      break;
    case 'matrix':
      out.byte(OPEN);
      if (value.columns === undefined) writeMatrix(out, value);
      else writeMatrixColumns(out, value.startMs, value.stepMs, value.columns);
      out.byte(CLOSE);
      break;
    case 'rawMatrix':
      writeRawMatrix(out, value.series);
      break;
  }
  if (options.withStats) out.text(`,"stats":${encodeStats(result.stats, options.execQueueTime)}`);
  out.byte(CLOSE_BRACE);
  writeAnnotations(out, 'warnings', 'warning', result.warnings);
  writeAnnotations(out, 'infos', 'info', result.infos);
  out.byte(CLOSE_BRACE);
  return out.finish();
}

/** Room for the usual answer, so that the buffer rarely grows. */
function estimateBytes({ value }: QueryResult): number {
  switch (value.type) {
    case 'vector':
      return 256 + (value.columns?.rows ?? value.series).length * 192;
    case 'matrix':
      return 1024 + value.stepCount * 40;
    case 'rawMatrix':
      return value.series.reduce((sum, { values }) => sum + 192 + values.length * 40, 256);
    default:
      return 512;
  }
}

function writeVector(out: ByteWriter, timestampMs: number, series: readonly ResultSeries[]): void {
  const stamp = new Uint8Array(TIMESTAMP_BYTES_MAX);
  const stampLength = writeTimestamp(stamp, 0, timestampMs);
  const stampText = Buffer.from(stamp.subarray(0, stampLength)).toString('latin1');
  const kernel = series.length < KERNEL_FLOATS_MIN ? null : formatKernel();
  const histogramWriter = new HistogramWriter();
  let separator = '';
  for (const { labels, values, present, histograms } of series) {
    if (present[0] === 0) continue;
    const histogram = histograms?.[0] ?? null;
    if (histogram !== null) {
      out.text(`${separator}{"metric":${metricText(labels)},"histogram":`);
      histogramWriter.writeSample(out, timestampMs, histogram);
      out.byte(CLOSE_BRACE);
      separator = ',';
      continue;
    }
    out.text(`${separator}{"metric":${metricText(labels)},"value":[${stampText},"`);
    out.reserve(FLOAT_BYTES_MAX);
    const { bytes, length } = out;
    const value = values[0]!;
    out.length = kernel === null ? writeFloat(bytes, length, value) : kernel.float(bytes, length, value);
    out.text('"]}');
    separator = ',';
  }
}

function writeMatrix(out: ByteWriter, value: MatrixValue): void {
  const { startMs, stepMs, series } = value;
  const kernel = formatKernel();
  const histogramWriter = new HistogramWriter();
  let separator = '';
  for (let i = 0; i < series.length; i++) {
    const { labels, present, histograms = null } = series[i]!;
    const hasFloats = present.includes(1);
    if (!hasFloats && histograms === null) continue;
    out.text(`${separator}{"metric":${metricText(labels)}`);
    if (hasFloats) writeSteps(out, kernel, value, series[i]!, (i + 1) / series.length);
    if (histograms !== null) writeHistograms(out, histogramWriter, histograms, (k) => startMs + k * stepMs);
    out.byte(CLOSE_BRACE);
    separator = ',';
  }
}

/** The floats of a series under their key. There must be one. */
function writeSteps(
  out: ByteWriter,
  kernel: ReturnType<typeof formatKernel>,
  { startMs, stepMs, stepCount }: MatrixValue,
  { values, present }: ResultSeries,
  share: number,
): void {
  out.text(',"values":[');
  for (let from = 0; from < stepCount; from += FORMAT_POINTS_MAX) {
    const to = Math.min(from + FORMAT_POINTS_MAX, stepCount);
    kernel.setSteps(startMs + from * stepMs, stepMs, to - from);
    const isWhole = to - from === values.length;
    const rowValues = isWhole ? values : values.subarray(from, to);
    const rowPresent = isWhole ? present : present.subarray(from, to);
    out.append(kernel.row(rowValues, rowPresent, out.length), share);
  }
  closeRow(out);
}

/** The histograms of a series under theirs. There must be one. */
function writeHistograms(
  out: ByteWriter,
  writer: HistogramWriter,
  histograms: readonly (FloatHistogram | null)[],
  timeOf: (k: number) => number,
): void {
  out.text(',"histograms":[');
  histograms.forEach((histogram, k) => {
    if (histogram === null) return;
    writer.writeSample(out, timeOf(k), histogram);
    out.byte(COMMA);
  });
  closeRow(out);
}

function writeRawMatrix(out: ByteWriter, series: readonly RawSeries[]): void {
  const kernel = formatKernel();
  const histogramWriter = new HistogramWriter();
  out.byte(OPEN);
  let separator = '';
  for (let i = 0; i < series.length; i++) {
    const { labels, timestampsMs, values, histograms = null } = series[i]!;
    if (values.length === 0) continue;
    out.text(`${separator}{"metric":${metricText(labels)}`);
    const hasFloats = histograms === null || histograms.includes(null);
    const isFloat = (_: number, k: number): boolean => histograms === null || histograms[k] === null;
    if (hasFloats) {
      out.text(',"values":[');
      const floats = histograms === null ? values : values.filter(isFloat);
      const times = histograms === null ? timestampsMs : timestampsMs.filter(isFloat);
      for (let from = 0; from < floats.length; from += FORMAT_POINTS_MAX) {
        const to = from + FORMAT_POINTS_MAX;
        const row = kernel.timedRow(times.subarray(from, to), floats.subarray(from, to), out.length);
        out.append(row, (i + 1) / series.length);
      }
      closeRow(out);
    }
    if (histograms !== null) writeHistograms(out, histogramWriter, histograms, (k) => timestampsMs[k]!);
    out.byte(CLOSE_BRACE);
    separator = ',';
  }
  out.byte(CLOSE);
}

/** The last point left a comma behind, which becomes the closing bracket. */
function closeRow(out: ByteWriter): void {
  out.bytes[out.length - 1] = CLOSE;
}

/** A label set as a JSON object. */
export function metricText(labels: LabelSet): string {
  let text = '{';
  for (let i = 0; i < labels.length; i++) {
    const { name, value } = labels[i]!;
    text += `${i === 0 ? '' : ','}${quoteJson(name)}:${quoteJson(value)}`;
  }
  return `${text}}`;
}

function encodeStats(stats: QueryStats, execQueueTime: number): string {
  const timings = [
    `"evalTotalTime":${formatFloat(stats.evalTotalTime)}`,
    `"resultSortTime":${formatFloat(stats.resultSortTime)}`,
    `"queryPreparationTime":${formatFloat(stats.queryPreparationTime)}`,
    `"innerEvalTime":${formatFloat(stats.innerEvalTime)}`,
    `"execQueueTime":${formatFloat(execQueueTime)}`,
    `"execTotalTime":${formatFloat(stats.execTotalTime)}`,
  ];
  const { totalQueryableSamples, peakSamples } = stats;
  const { perStep = null } = stats;
  const shownSteps = perStep === null ? '' : `"totalQueryableSamplesPerStep":${stepsText(perStep)},`;
  const samples = `{${shownSteps}"totalQueryableSamples":${totalQueryableSamples},"peakSamples":${peakSamples}}`;
  return `{"timings":{${timings.join(',')}},"samples":${samples}}`;
}

function stepsText({ startMs, stepMs, counts }: StepSamples): string {
  const points = Array.from(counts, (count, k) => `[${formatFloat((startMs + k * stepMs) / 1000)},${count}]`);
  return `[${points.join(',')}]`;
}

function writeAnnotations(out: ByteWriter, key: string, word: string, texts: readonly string[]): void {
  if (texts.length === 0) return;
  const shown = texts.slice(0, ANNOTATIONS_MAX).map(quoteJsonHtml);
  const omitted = texts.length - shown.length;
  if (omitted > 0) shown.push(quoteJsonHtml(`${omitted} more ${word} annotations omitted`));
  out.text(`,"${key}":[${shown.join(',')}]`);
}

/** The envelope of a success whose data is JSON already. */
export function encodeSuccess(dataJson: string, warnings: readonly string[] = []): Uint8Array<ArrayBuffer> {
  const out = new ByteWriter(dataJson.length + 64);
  out.text('{"status":"success","data":');
  out.text(dataJson);
  writeAnnotations(out, 'warnings', 'warning', warnings);
  out.byte(CLOSE_BRACE);
  return out.finish();
}

/** A list of names or values. */
export function encodeStrings(
  texts: readonly string[],
  warnings: readonly string[],
  guard?: AnswerGuard,
): Uint8Array<ArrayBuffer> {
  return encodeList(texts, quoteJsonHtml, warnings, guard);
}

/** A list of label sets. */
export function encodeLabelSets(
  sets: readonly LabelSet[],
  warnings: readonly string[],
  guard?: AnswerGuard,
): Uint8Array<ArrayBuffer> {
  return encodeList(sets, metricText, warnings, guard);
}

function encodeList<Item>(
  items: readonly Item[],
  toText: (item: Item) => string,
  warnings: readonly string[],
  guard?: AnswerGuard,
): Uint8Array<ArrayBuffer> {
  const out = new ByteWriter(64 + items.length * 32, guard);
  out.text('{"status":"success","data":[');
  for (let i = 0; i < items.length; i++) {
    if (i > 0) out.byte(COMMA);
    out.text(toText(items[i]!));
  }
  out.byte(CLOSE);
  writeAnnotations(out, 'warnings', 'warning', warnings);
  out.byte(CLOSE_BRACE);
  return out.finish();
}
