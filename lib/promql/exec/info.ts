import type { InfoNode } from '../plan/index.js';
import { executionError, type QueryContext } from './context.js';
import { LabelBuilder, LabelIndex, labelIdOf } from './label-columns.js';
import { formatLabels, labelSetOf } from './matching.js';
import { InstantSelectorRows } from './selectors.js';
import { MaterialRows, materialise, type RowSource, reserveBlock } from './source.js';

/** Labels that tie a series to its info series. */
const IDENTIFYING = ['instance', 'job'];

/**
 * info(v, matchers): adds the data labels of info metrics to the series of v that share their `instance` and `job`.
 */
export function infoRows(context: QueryContext, node: InfoNode, source: RowSource): RowSource {
  const { space } = context;
  const { steps } = source;
  const base = materialise(source);
  const nameId = space.intern('__name__');
  const identifying = IDENTIFYING.map((name) => space.find(name));
  const nameMatchers = node.matchers.filter((matcher) => matcher.name === '__name__');
  const dataMatchers = node.matchers.filter((matcher) => matcher.name !== '__name__');
  const dataNames = new Set(dataMatchers.map((matcher) => space.find(matcher.name)));
  const needsMatch = dataMatchers.some((matcher) => !matcher.matchesEmpty);

  const leaf = {
    kind: 'instantSelector' as const,
    select: node.infoSelect,
    times: node.times,
    lookbackMs: node.lookbackMs,
    isStatistics: false,
    grid: node.grid,
    pos: node.pos,
    uses: 1,
  };
  const info = materialise(new InstantSelectorRows(context, { ...leaf, mode: 'values' }));
  const infoTimes = materialise(new InstantSelectorRows(context, { ...leaf, mode: 'times' }));

  // Signature numbers: identifying labels only for base series, with the metric name for info series.
  const identities = new LabelIndex();
  const identityOf = (rows: RowSource, i: number): number => {
    const pairs: number[] = [];
    identifying.forEach((id) => {
      const value = id < 0 ? -1 : labelIdOf(rows.labels, i, id);
      if (value >= 0) pairs.push(id, value);
    });
    return pairs.length === 0 ? -1 : identities.intern(Uint32Array.from(pairs), 0, pairs.length);
  };
  const baseIdentity = Array.from({ length: base.seriesCount }, (_, i) => identityOf(base, i));
  const infoIdentity = Array.from({ length: info.seriesCount }, (_, i) => identityOf(info, i));
  const infoName = Array.from({ length: info.seriesCount }, (_, i) => labelIdOf(info.labels, i, nameId));
  const byIdentity = new Map<number, number[]>();
  infoIdentity.forEach((identity, i) => {
    if (identity < 0 || infoName[i]! < 0) return;
    const list = byIdentity.get(identity);
    if (list === undefined) byIdentity.set(identity, [i]);
    else list.push(i);
  });
  const isInfoItself = (i: number): boolean => {
    const name = labelIdOf(base.labels, i, nameId);
    const text = name < 0 ? '' : space.text(name);
    return nameMatchers.every((matcher) => matcher.matches(text));
  };

  const { f64, u8 } = context.kernel;
  const baseBlock = base.read(0, base.seriesCount);
  const infoBlock = info.read(0, info.seriesCount);
  const timeBlock = infoTimes.read(0, infoTimes.seriesCount);
  const timeOfInfo = (i: number, k: number): number => f64[timeBlock.rows / 8 + i * steps + k]! * 1000;

  const index = new LabelIndex();
  const values: Float64Array[] = [];
  const present: Uint8Array[] = [];
  const marks: number[] = [];
  const put = (number: number, i: number, k: number): void => {
    if (number === values.length) {
      values.push(new Float64Array(steps));
      present.push(new Uint8Array(steps));
      marks.push(base.dropMarks?.[i] ?? 0);
    }
    values[number]![k] = f64[baseBlock.rows / 8 + i * steps + k]!;
    present[number]![k] = 1;
  };
  for (let i = 0; i < base.seriesCount; i++) {
    const begin = base.labels.offsets[i]!;
    const end = base.labels.offsets[i + 1]!;
    const candidates = baseIdentity[i]! < 0 ? [] : (byIdentity.get(baseIdentity[i]!) ?? []);
    const passes = isInfoItself(i);
    for (let k = 0; k < steps; k++) {
      if (u8[baseBlock.present + i * steps + k] === 0) continue;
      if (passes) {
        put(index.intern(base.labels.pairs, begin, end), i, k);
        continue;
      }
      const chosen = new Map<number, number>();
      for (const candidate of candidates) {
        if (u8[infoBlock.present + candidate * steps + k] === 0) continue;
        const name = infoName[candidate]!;
        const rival = chosen.get(name);
        if (rival === undefined) chosen.set(name, candidate);
        else
          chosen.set(
            name,
            newer(context, info, rival, candidate, timeOfInfo(rival, k), timeOfInfo(candidate, k)),
          );
      }
      if (chosen.size === 0 && needsMatch) continue;
      const number = enrich(
        context,
        index,
        base,
        i,
        info,
        [...chosen.values()],
        identifying,
        nameId,
        dataNames,
      );
      put(number, i, k);
    }
    context.poll();
  }
  const block = reserveBlock(context, values.length, steps);
  const views = context.kernel;
  values.forEach((row, number) => {
    views.f64.set(row, block.rows / 8 + number * steps);
    views.u8.set(present[number]!, block.present + number * steps);
  });
  const outputMarks = marks.includes(1) ? Uint8Array.from(marks) : null;
  return new MaterialRows(context, index.columns, steps, outputMarks, block);
}

/** Of two info series with the same signature the one with the newer sample. */
function newer(
  context: QueryContext,
  info: RowSource,
  a: number,
  b: number,
  timeA: number,
  timeB: number,
): number {
  if (timeA !== timeB) return timeA > timeB ? a : b;
  const [first, second] = [a, b].map((i) => formatLabels(labelSetOf(context, info.labels, i)));
  throw executionError(
    `found duplicate series for info metric: existing ${first} @ ${timeA}, new ${second} @ ${timeB}`,
  );
}

/** Numbers the base series' labels together with the data labels of its info series. */
function enrich(
  context: QueryContext,
  index: LabelIndex,
  base: RowSource,
  i: number,
  info: RowSource,
  chosen: readonly number[],
  identifying: readonly number[],
  nameId: number,
  dataNames: ReadonlySet<number>,
): number {
  const builder = new LabelBuilder(1, 32);
  const added = new Map<number, number>();
  const own = new Set<number>();
  for (let p = base.labels.offsets[i]!; p < base.labels.offsets[i + 1]!; p += 2) {
    own.add(base.labels.pairs[p]!);
    builder.push(base.labels.pairs[p]!, base.labels.pairs[p + 1]!);
  }
  for (const series of chosen) {
    for (let p = info.labels.offsets[series]!; p < info.labels.offsets[series + 1]!; p += 2) {
      const name = info.labels.pairs[p]!;
      const value = info.labels.pairs[p + 1]!;
      if (name === nameId || identifying.includes(name) || own.has(name)) continue;
      if (dataNames.size > 0 && !dataNames.has(name)) continue;
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
