import type { InfoNode } from '../plan/index.js';
import { executionError, type QueryContext } from './context.js';
import { ELEMENT } from './element.js';
import { LabelBuilder, type LabelColumns, LabelIndex, labelIdOf } from './label-columns.js';
import { formatLabels, labelSetOf } from './matching.js';
import { InstantSelectorRows } from './selectors.js';
import { MaterialRows, materialise, noHistograms, type RowSource, reserveBlock } from './source.js';

/** Labels that tie a series to its info series. */
const IDENTIFYING = ['instance', 'job'];

/**
 * info(v, matchers): adds the data labels of info metrics to the series of v that share their `instance` and `job`.
 */
export function infoRows(context: QueryContext, node: InfoNode, source: RowSource): RowSource {
  const { steps } = source;
  const base = materialise(source);
  const join = new InfoJoin(context, node, base);
  const all = base.read(0, base.seriesCount);
  const index = new LabelIndex();
  /** Place in the base of each element of an output, by step; -1 for none. */
  const origins: Int32Array[] = [];
  const marks: number[] = [];
  for (let i = 0; i < base.seriesCount; i++) {
    for (let k = 0; k < steps; k++) {
      if (context.kernel.u8[all.present + i * steps + k] === ELEMENT.none) continue;
      const output = join.labelsAt(i, k, index);
      if (output < 0) continue;
      if (output === origins.length) {
        origins.push(new Int32Array(steps).fill(-1));
        marks.push(base.dropMarks?.[i] ?? 0);
      }
      origins[output]![k] = i * steps + k;
    }
    context.poll();
  }
  const block = reserveBlock(context, origins.length, steps);
  if (base.mayHaveHistograms) block.histograms = noHistograms(origins.length * steps);
  const { f64, u8 } = context.kernel;
  origins.forEach((row, output) => {
    row.forEach((from, k) => {
      const at = output * steps + k;
      u8[block.present + at] = from < 0 ? ELEMENT.none : u8[all.present + from]!;
      if (from < 0) return;
      f64[block.rows / 8 + at] = f64[all.rows / 8 + from]!;
      if (block.histograms !== null) block.histograms[at] = all.histograms![from]!;
    });
  });
  const outputMarks = marks.includes(1) ? Uint8Array.from(marks) : null;
  return new MaterialRows(context, index.columns, steps, outputMarks, block);
}

/** Finds the labels of each series of v at each step. */
class InfoJoin {
  private readonly context: QueryContext;
  private readonly base: RowSource;
  private readonly info: LabelColumns;
  private readonly nameId: number;
  private readonly identifying: readonly number[];
  /** Names of the data labels to add; empty for all. */
  private readonly dataNames: ReadonlySet<number>;
  /** Whether series without any info series go. */
  private readonly needsMatch: boolean;
  private readonly isUntouched: readonly boolean[];
  private readonly identities = new LabelIndex();
  /** By identity and step, the info series that count: one of each name. */
  private readonly chosen = new Map<number, Map<number, number>[]>();

  constructor(context: QueryContext, node: InfoNode, base: RowSource) {
    const { space } = context;
    this.context = context;
    this.base = base;
    this.nameId = space.intern('__name__');
    this.identifying = IDENTIFYING.map((name) => space.find(name)).filter((id) => id >= 0);
    const nameMatchers = node.matchers.filter((matcher) => matcher.name === '__name__');
    const dataMatchers = node.matchers.filter((matcher) => matcher.name !== '__name__');
    this.dataNames = new Set(dataMatchers.map((matcher) => space.find(matcher.name)));
    this.needsMatch = dataMatchers.some((matcher) => !matcher.matchesEmpty);
    this.isUntouched = Array.from({ length: base.seriesCount }, (_, i) => {
      const name = labelIdOf(base.labels, i, this.nameId);
      const text = name < 0 ? '' : space.text(name);
      return nameMatchers.every((matcher) => matcher.matches(text));
    });
    this.info = this.choose(node);
  }

  /** Numbers the labels of a series at a step, or answers -1 when it goes. */
  labelsAt(i: number, k: number, index: LabelIndex): number {
    const { base } = this;
    const { offsets, pairs } = base.labels;
    if (this.isUntouched[i]!) return index.intern(pairs, offsets[i]!, offsets[i + 1]!);
    const identity = this.identityOf(base.labels, i);
    const chosen = identity < 0 ? undefined : this.chosen.get(identity)?.[k];
    if (chosen === undefined || chosen.size === 0) {
      return this.needsMatch ? -1 : index.intern(pairs, offsets[i]!, offsets[i + 1]!);
    }
    return this.enrich(i, chosen.values(), index);
  }

  private identityOf(labels: LabelColumns, i: number): number {
    const pairs: number[] = [];
    for (const id of this.identifying) {
      const value = labelIdOf(labels, i, id);
      if (value >= 0) pairs.push(id, value);
    }
    return pairs.length === 0 ? -1 : this.identities.intern(Uint32Array.from(pairs), 0, pairs.length);
  }

  /**
   * Reads the info series and keeps, for each identity, name and step, the one with the newest sample. Only those count
   * whose identifying values occur in v: the storage has been asked for all of them, for v was not known then.
   */
  private choose(node: InfoNode): LabelColumns {
    const { context, chosen } = this;
    const leaf = {
      kind: 'instantSelector' as const,
      select: node.infoSelect,
      // Counted below, where it is known which ones upstream would have selected.
      times: { ...node.times, sampleWeight: 0 },
      lookbackMs: node.lookbackMs,
      isStatistics: false,
      grid: node.grid,
      pos: node.pos,
      uses: 1,
    };
    const info = materialise(new InstantSelectorRows(context, { ...leaf, mode: 'values' }));
    const sampleTimes = materialise(new InstantSelectorRows(context, { ...leaf, mode: 'times' }));
    const { steps, seriesCount, labels } = info;
    const values = info.read(0, seriesCount);
    const times = sampleTimes.read(0, seriesCount);
    const { f64, u8 } = context.kernel;
    const timeAt = (i: number, k: number): number => f64[times.rows / 8 + i * steps + k]! * 1000;
    const isWanted = this.identifyingFilter();
    const stepCounts = context.stepCounts(node.times);
    for (let i = 0; i < seriesCount; i++) {
      const name = labelIdOf(labels, i, this.nameId);
      if (name < 0 || !isWanted(labels, i)) continue;
      const identity = this.identityOf(labels, i);
      let bySteps = chosen.get(identity);
      if (bySteps === undefined) {
        bySteps = Array.from({ length: steps }, () => new Map<number, number>());
        chosen.set(identity, bySteps);
      }
      for (let k = 0; k < steps; k++) {
        const present = u8[values.present + i * steps + k]!;
        if (present === ELEMENT.none) continue;
        if (present === ELEMENT.histogram) {
          const shown = formatLabels(labelSetOf(context, labels, i));
          throw executionError(`this should be an info metric, with float samples: ${shown}`);
        }
        context.countSamples(1, node.times);
        if (stepCounts !== null) stepCounts[k]!++;
        const rival = bySteps[k]!.get(name);
        if (rival !== undefined && timeAt(rival, k) === timeAt(i, k)) {
          throw duplicateError(context, labels, rival, i, timeAt(i, k));
        }
        if (rival === undefined || timeAt(i, k) > timeAt(rival, k)) bySteps[k]!.set(name, i);
      }
      context.poll();
    }
    return labels;
  }

  /** Tells the info series whose identifying labels have values that occur in v. */
  private identifyingFilter(): (labels: LabelColumns, i: number) => boolean {
    const { base, isUntouched } = this;
    const wanted = new Map<number, Set<number>>();
    for (const id of this.identifying) {
      const values = new Set<number>();
      for (let i = 0; i < base.seriesCount; i++) {
        const value = isUntouched[i]! ? -1 : labelIdOf(base.labels, i, id);
        if (value >= 0) values.add(value);
      }
      if (values.size > 0) wanted.set(id, values);
    }
    return (labels, i) => {
      for (const [id, values] of wanted) if (!values.has(labelIdOf(labels, i, id))) return false;
      return wanted.size > 0;
    };
  }

  /** Numbers the labels of a series together with the data labels of its info series. */
  private enrich(i: number, chosen: Iterable<number>, index: LabelIndex): number {
    const { context, base, info } = this;
    const builder = new LabelBuilder(1, 32);
    const added = new Map<number, number>();
    const own = new Set<number>();
    for (let p = base.labels.offsets[i]!; p < base.labels.offsets[i + 1]!; p += 2) {
      own.add(base.labels.pairs[p]!);
      builder.push(base.labels.pairs[p]!, base.labels.pairs[p + 1]!);
    }
    for (const series of chosen) {
      for (let p = info.offsets[series]!; p < info.offsets[series + 1]!; p += 2) {
        const name = info.pairs[p]!;
        const value = info.pairs[p + 1]!;
        if (name === this.nameId || this.identifying.includes(name) || own.has(name)) continue;
        if (this.dataNames.size > 0 && !this.dataNames.has(name)) continue;
        const known = added.get(name);
        if (known !== undefined && known !== value) {
          throw executionError(`conflicting label: ${context.space.text(name)}`);
        }
        if (known === undefined) builder.push(name, value);
        added.set(name, value);
      }
    }
    builder.endUnsorted(context.space);
    const { pairs, offsets } = builder.columns;
    return index.intern(pairs, offsets[0]!, offsets[1]!);
  }
}

function duplicateError(
  context: QueryContext,
  labels: LabelColumns,
  first: number,
  second: number,
  timeMs: number,
): Error {
  const [existing, added] = [first, second].map((i) => formatLabels(labelSetOf(context, labels, i)));
  return executionError(
    `found duplicate series for info metric: existing ${existing} @ ${timeMs}, new ${added} @ ${timeMs}`,
  );
}
