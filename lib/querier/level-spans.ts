/** Times from `fromMs` (inclusive) to `toMs` (exclusive). */
export interface Span {
  readonly fromMs: number;
  readonly toMs: number;
}

/** Lists of spans here are in ascending order, and no two of a list overlap or touch. */
export type Spans = readonly Span[];

/** What any of the spans, given in any order, covers. */
export function unite(spans: readonly Span[]): Spans {
  const sorted = spans.filter(({ fromMs, toMs }) => fromMs < toMs).sort((a, b) => a.fromMs - b.fromMs);
  const united: Span[] = [];
  for (const span of sorted) {
    const last = united.at(-1);
    if (last === undefined || span.fromMs > last.toMs) united.push(span);
    else if (span.toMs > last.toMs) united[united.length - 1] = { fromMs: last.fromMs, toMs: span.toMs };
  }
  return united;
}

export function intersect(spans: Spans, { fromMs, toMs }: Span): Spans {
  const inside: Span[] = [];
  for (const span of spans) {
    const from = Math.max(span.fromMs, fromMs);
    const to = Math.min(span.toMs, toMs);
    if (from < to) inside.push({ fromMs: from, toMs: to });
  }
  return inside;
}

export function subtract(spans: Spans, { fromMs, toMs }: Span): Spans {
  const left: Span[] = [];
  for (const span of spans) {
    if (span.toMs <= fromMs || span.fromMs >= toMs) {
      left.push(span);
      continue;
    }
    if (span.fromMs < fromMs) left.push({ fromMs: span.fromMs, toMs: fromMs });
    if (span.toMs > toMs) left.push({ fromMs: toMs, toMs: span.toMs });
  }
  return left;
}

export function subtractAll(spans: Spans, others: Spans): Spans {
  return others.reduce(subtract, spans);
}

export function overlaps(a: Span, b: Span): boolean {
  return a.fromMs < b.toMs && b.fromMs < a.toMs;
}

/** The last multiple of the unit at or before a time; the time itself when the unit is 0. */
export function floorTo(timeMs: number, unitMs: number): number {
  return unitMs === 0 ? timeMs : Math.floor(timeMs / unitMs) * unitMs;
}

export function ceilTo(timeMs: number, unitMs: number): number {
  return unitMs === 0 ? timeMs : Math.ceil(timeMs / unitMs) * unitMs;
}
