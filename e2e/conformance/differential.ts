import type { Server } from '../peers.js';
import {
  type ApiAnswer,
  compareAnswers,
  comparePoints,
  type Difference,
  hasData,
  type JsonPoint,
  seriesOf,
} from './compare.js';
import type { Family } from './data.js';
import { type Evaluation, randomEvaluation } from './evaluation.js';
import { align, EXPLANATIONS } from './explained.js';
import { type Expression, simplerThan, sizeOf, textOf } from './expression.js';
import { QueryGenerator } from './query-generator.js';
import { Random } from './random.js';

/** Runs generated queries on Prometheus and on Varve, shrinks what differs and sorts it into explained and not. */

export interface Finding {
  readonly seed: number;
  readonly index: number;
  readonly query: string;
  readonly shrunk: string;
  readonly evaluation: Evaluation;
  readonly differences: readonly Difference[];
}

export interface Report {
  queries: number;
  instant: number;
  withData: number;
  failed: number;
  withAnnotations: number;
  readonly explained: Map<string, number>;
  readonly reworded: Map<string, number>;
  readonly unexplained: Finding[];
}

export interface DifferentialOptions {
  readonly seed: number;
  readonly queries: number;
  /** Only this query of the seed; null for all. */
  readonly only: number | null;
  readonly families: readonly Family[];
  readonly theirs: Server;
  readonly ours: Server;
}

const LANES = 4;
const DEPTH_MAX = 4;
const TOLERANCE = 1e-9;
const SHRINK_QUERIES_MAX = 400;
/** Above this many, further differences are only counted. */
const FINDINGS_MAX = 200;

/** Runs one seed. */
export async function runSeed(options: DifferentialOptions): Promise<Report> {
  const report: Report = {
    queries: 0,
    instant: 0,
    withData: 0,
    failed: 0,
    withAnnotations: 0,
    explained: new Map(),
    reworded: new Map(),
    unexplained: [],
  };
  let next = options.only ?? 0;
  const end = options.only === null ? options.queries : options.only + 1;
  const lane = async (): Promise<void> => {
    while (next < end && report.unexplained.length < FINDINGS_MAX) await runOne(options, next++, report);
  };
  await Promise.all(Array.from({ length: LANES }, lane));
  return report;
}

async function runOne(options: DifferentialOptions, index: number, report: Report): Promise<void> {
  // A generator of its own for each query, so that one can be run again without those before it.
  const random = new Random(options.seed * 1_000_003 + index);
  const evaluation = randomEvaluation(random);
  const isInstant = evaluation.path === 'query';
  const generator = new QueryGenerator(random, { families: options.families, depthMax: DEPTH_MAX });
  const root = generator.query(isInstant);
  const [theirs, ours] = await askBoth(options, evaluation, textOf(root), report.reworded);
  report.queries++;
  if (isInstant) report.instant++;
  if (hasData(theirs)) report.withData++;
  if (theirs.status !== 'success') report.failed++;
  if ((theirs.warnings?.length ?? 0) + (theirs.infos?.length ?? 0) > 0) report.withAnnotations++;
  if (differencesOf(textOf(root), isInstant, theirs, ours).length === 0) return;
  const { shrunk, differences } = await shrink(options, evaluation, root);
  const query = textOf(shrunk);
  const unexplained = differences.filter((difference) => {
    const found = EXPLANATIONS.find((rule) =>
      rule.explains({ query, isRange: !isInstant, difference, all: differences }),
    );
    if (found !== undefined) count(report.explained, `${found.basis}: ${found.name}`);
    return found === undefined;
  });
  if (unexplained.length === 0) return;
  if (!isInstant && /\binfo\(/.test(query) && (await isRightPerStep(options, evaluation, query))) {
    count(report.explained, `observed: ${INFO_PER_STEP}`);
    return;
  }
  const { seed } = options;
  report.unexplained.push({
    seed,
    index,
    query: textOf(root),
    shrunk: query,
    evaluation,
    differences: unexplained,
  });
}

function count(counts: Map<string, number>, name: string): void {
  counts.set(name, (counts.get(name) ?? 0) + 1);
}

/**
 * Instant answers whose order the reference leaves to a hash map: that of some operators, and that of every operator
 * inside of a subquery.
 */
const UNORDERED = /count_values|histogram_quantile|histogram_fraction|info\(|\[[^\]]*:/;
/** Answers sorted by value, without an order for equal ones. */
const SORTED = /\b(?:sort|sort_desc|topk|bottomk)\b/;

function differencesOf(query: string, isInstant: boolean, theirs: ApiAnswer, ours: ApiAnswer): Difference[] {
  return compareAnswers(theirs, ours, {
    ordered: !isInstant || !UNORDERED.test(query),
    tiesMayMove: isInstant && SORTED.test(query),
    tolerance: TOLERANCE,
  });
}

const INFO_PER_STEP =
  'info over a range: 3.5 takes info series for one another while base series are away; its instant answers per step are ours';

/** Whether our range answer is what the reference gives for an instant query at each step. */
async function isRightPerStep(
  options: DifferentialOptions,
  { parameters }: Evaluation,
  query: string,
): Promise<boolean> {
  const [start, end, step] = ['start', 'end', 'step'].map((name) =>
    Math.round(Number(parameters[name]) * 1000),
  );
  const steps = new Map<string, JsonPoint[]>();
  const lookback =
    parameters['lookback_delta'] === undefined ? {} : { lookback_delta: parameters['lookback_delta'] };
  for (let t = start!; t <= end!; t += step!) {
    const evaluation: Evaluation = {
      path: 'query',
      parameters: { time: (t / 1000).toFixed(3), ...lookback },
    };
    const { data } = await ask(options.theirs, evaluation, query);
    if (data === undefined) return false;
    for (const { metric, points } of seriesOf(data)) {
      const key = JSON.stringify(metric);
      steps.set(key, [...(steps.get(key) ?? []), ...points]);
    }
  }
  const range: Evaluation = { path: 'query_range', parameters: { ...parameters, limit: '0' } };
  const { data } = await ask(options.ours, range, query);
  if (data === undefined || seriesOf(data).length !== steps.size) return false;
  return seriesOf(data).every(({ metric, points }) => {
    return comparePoints('', steps.get(JSON.stringify(metric)) ?? [], points, TOLERANCE) === null;
  });
}

async function shrink(
  options: DifferentialOptions,
  evaluation: Evaluation,
  root: Expression,
): Promise<{ shrunk: Expression; differences: Difference[] }> {
  const isInstant = evaluation.path === 'query';
  const compare = async (candidate: Expression): Promise<Difference[]> => {
    const text = textOf(candidate);
    const [theirs, ours] = await askBoth(options, evaluation, text, new Map());
    return differencesOf(text, isInstant, theirs, ours);
  };
  let shrunk = root;
  let differences = await compare(root);
  let asked = 0;
  for (let isSmaller = true; isSmaller && asked < SHRINK_QUERIES_MAX; ) {
    isSmaller = false;
    for (const candidate of simplerThan(shrunk, isInstant)) {
      if (sizeOf(candidate) > sizeOf(shrunk) || textOf(candidate).length >= textOf(shrunk).length) continue;
      if (++asked > SHRINK_QUERIES_MAX) break;
      const found = await compare(candidate);
      if (found.length === 0) continue;
      shrunk = candidate;
      differences = found;
      isSmaller = true;
      break;
    }
  }
  return { shrunk, differences };
}

async function askBoth(
  options: DifferentialOptions,
  evaluation: Evaluation,
  query: string,
  reworded: Map<string, number>,
): Promise<[theirs: ApiAnswer, ours: ApiAnswer]> {
  const [theirs, ours] = await Promise.all([
    ask(options.theirs, evaluation, query),
    ask(options.ours, evaluation, query),
  ]);
  return align(theirs, ours, evaluation.path === 'query_range', reworded);
}

/** Sends one query. */
export async function ask(
  server: Server,
  { path, parameters }: Evaluation,
  query: string,
  headers: Readonly<Record<string, string>> = {},
): Promise<ApiAnswer> {
  const response = await fetch(`${server.api}/${path}`, {
    method: 'POST',
    headers,
    body: new URLSearchParams({ query, ...parameters }),
  });
  const text = await response.text();
  try {
    return { ...(JSON.parse(text) as Omit<ApiAnswer, 'code'>), code: response.status };
  } catch {
    return { code: response.status, status: 'no JSON', error: text.slice(0, 200) };
  }
}

/** A finding as text, with the command that shows it again. */
export function describeFinding(finding: Finding): string {
  const { seed, index, evaluation } = finding;
  return [
    `seed ${seed} query ${index} (E2E_SEEDS=${seed} E2E_ONLY=${index} npm run test:e2e -- differential)`,
    `  ${evaluation.path} ${JSON.stringify(evaluation.parameters)}`,
    `  query:  ${finding.query}`,
    `  shrunk: ${finding.shrunk}`,
    ...finding.differences.map(
      ({ field, theirs, ours }) => `  ${field}\n    theirs: ${theirs}\n    ours:   ${ours}`,
    ),
  ].join('\n');
}

/** The figures of a seed in a few lines. */
export function describeReport(seed: number, report: Report): string {
  const percent = (part: number): string => `${((100 * part) / Math.max(1, report.queries)).toFixed(1)} %`;
  const counts = (title: string, map: ReadonlyMap<string, number>): string[] =>
    [...map].map(([name, count]) => `  ${title}: ${name}: ${count}`);
  return [
    `seed ${seed}: ${report.queries} queries (${report.instant} instant), ${percent(report.withData)} with data, ` +
      `${percent(report.failed)} failing, ${percent(report.withAnnotations)} with annotations, ` +
      `${report.unexplained.length} unexplained`,
    ...counts('explained', report.explained),
    ...counts('reworded', report.reworded),
  ].join('\n');
}
