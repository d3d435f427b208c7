import { type FloatHistogram, formatG, IntegerHistogram, RESET_HINT } from '../histogram/index.js';
import { compareLabelSets, compareUtf8, type LabelSet } from '../labels/index.js';
import type { Matcher } from '../matcher/index.js';
import { ArrayArena, polled, type Queryable, type SelectHints } from '../storage/index.js';
import { type ExposedMetric, encodeMetricFamily, writeHistogramOf } from '../wire/index.js';
import { ByteWriter } from './json-bytes.js';
import { type Escaping, escapeName, isLegacyName } from './label-escape.js';
import { type SampleRun, SeriesSampleReader } from './series-samples.js';
import type { ReadBudget } from './task.js';
import { GuardedArena, type TaskGuard } from './task-guard.js';

/** The newest samples of series, for another server to scrape: Prometheus' `/federate`, in a query thread. */

export interface FederateFormat {
  readonly isProtobuf: boolean;
  readonly escaping: Escaping;
}

interface Newest {
  readonly labels: LabelSet;
  readonly name: string;
  readonly timestampMs: number;
  readonly value: number | FloatHistogram;
}

/** @param matcherSets series that any of them matches, once each */
export async function federate(
  source: Queryable,
  matcherSets: readonly (readonly Matcher[])[],
  minTimeMs: number,
  maxTimeMs: number,
  format: FederateFormat,
  { memoryBytesMax }: ReadBudget,
  guard: TaskGuard,
): Promise<Uint8Array<ArrayBuffer>> {
  const found: Newest[] = [];
  const reader = new SeriesSampleReader();
  const hints: SelectHints = {
    ...{ minTimeMs, maxTimeMs, stepMs: 0, func: '', rangeMs: 0, limit: 0 },
    ...{ withoutChunks: false, newestOnly: true },
  };
  for (const matchers of matcherSets) {
    // Without a matcher Prometheus finds nothing either.
    if (matchers.length === 0) continue;
    const arena = new GuardedArena(new ArrayArena(), guard, memoryBytesMax);
    const set = await source.select(matchers, hints, arena);
    for (let i = 0; i < set.seriesCount; i++) {
      if (i % 1024 === 0) guard.check();
      const newest = newestOf(reader.read(set, i, arena, minTimeMs, maxTimeMs));
      if (newest === null) continue;
      const labels: { name: string; value: string }[] = [];
      for (let at = set.labelOffsets[i]!; at < set.labelOffsets[i + 1]!; at += 2) {
        labels.push({
          name: set.symbols.text(set.labels[at]!),
          value: set.symbols.text(set.labels[at + 1]!),
        });
      }
      const name = labels.find((label) => label.name === '__name__')?.value ?? '';
      // A sample without a name can't be told in these formats.
      if (name !== '') found.push({ labels, name, ...newest });
    }
  }
  const check = () => guard.check();
  found.sort(
    polled(
      (a: Newest, b: Newest) => compareUtf8(a.name, b.name) || compareLabelSets(a.labels, b.labels),
      check,
    ),
  );
  const out = new ByteWriter(64 + found.length * 96, (byteLength) => guard.checkAnswer(byteLength));
  for (let i = 0; i < found.length; ) {
    const { name } = found[i]!;
    const family: Newest[] = [];
    let end = i;
    for (; end < found.length && found[end]!.name === name; end++) {
      if (end > i && compareLabelSets(found[end]!.labels, found[end - 1]!.labels) === 0) continue;
      // One family has one type: that of its first sample.
      if (kindOf(found[end]!) !== kindOf(found[i]!)) continue;
      family.push(found[end]!);
    }
    if (format.isProtobuf) writeProtobuf(out, name, family, format.escaping);
    else writeText(out, name, family, format.escaping);
    i = end;
  }
  return out.finish();
}

/** The newest sample of runs; null when there is none or it is a stale marker. */
function newestOf(runs: readonly SampleRun[]): Pick<Newest, 'timestampMs' | 'value'> | null {
  const run = runs.at(-1);
  if (run === undefined) return null;
  const last = run.timestamps.length - 1;
  const timestampMs = run.timestamps[last]!;
  if (run.kind === 'histograms') {
    const found = run.histograms[last]!;
    if (found.isStale) return null;
    return { timestampMs, value: found instanceof IntegerHistogram ? found.toFloat() : found };
  }
  const words = new Int32Array(run.values.buffer, run.values.byteOffset + last * 8, 2);
  return words[1] === 0x7ff0_0000 && words[0] === 2 ? null : { timestampMs, value: run.values[last]! };
}

function kindOf({ value }: Newest): 'untyped' | 'histogram' | 'gauge_histogram' {
  if (typeof value === 'number') return 'untyped';
  return value.hint === RESET_HINT.gauge ? 'gauge_histogram' : 'histogram';
}

/** Labels without the name, with the empty `instance` that keeps the scraper from adding its own. */
function exposedLabels({ labels }: Newest): LabelSet {
  const kept = labels.filter(({ name }) => name !== '__name__');
  return kept.some(({ name }) => name === 'instance') ? kept : [...kept, { name: 'instance', value: '' }];
}

/** The text format has no native histograms: they are left out, as by Prometheus. */
function writeText(out: ByteWriter, name: string, family: readonly Newest[], escaping: Escaping): void {
  if (kindOf(family[0]!) !== 'untyped') return;
  const shown = escapeName(name, true, escaping);
  const isPlain = isLegacyName(shown, true);
  out.text(`# TYPE ${isPlain ? shown : quote(shown)} untyped\n`);
  for (const sample of family) {
    const labels = exposedLabels(sample).map((label) => {
      const labelName = escapeName(label.name, false, escaping);
      return `${isLegacyName(labelName, false) ? labelName : quote(labelName)}=${quote(label.value)}`;
    });
    const inside = labels.join(',');
    const series = isPlain ? `${shown}{${inside}}` : `{${quote(shown)},${inside}}`;
    out.text(`${series} ${formatG(Number(sample.value))} ${sample.timestampMs}\n`);
  }
}

function quote(text: string): string {
  return `"${text.replaceAll('\\', '\\\\').replaceAll('\n', '\\n').replaceAll('"', '\\"')}"`;
}

function writeProtobuf(out: ByteWriter, name: string, family: readonly Newest[], escaping: Escaping): void {
  const metrics = family.map((sample): ExposedMetric => {
    const { value, timestampMs } = sample;
    const labels = exposedLabels(sample).map((label) => ({
      name: escapeName(label.name, false, escaping),
      value: label.value,
    }));
    return { labels, timestampMs, value: typeof value === 'number' ? value : writeHistogramOf(0, value) };
  });
  const message = encodeMetricFamily(escapeName(name, true, escaping), kindOf(family[0]!), metrics);
  let length = message.length;
  for (; length >= 128; length = Math.floor(length / 128)) out.byte((length % 128) | 128);
  out.byte(length);
  out.append(message, 1);
}
