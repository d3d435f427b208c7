import type { Family } from './data.js';
import { type Expression, expression, operand, type Part, parenthesized } from './expression.js';
import { HistogramGenerator } from './histogram-generator.js';
import type { Random } from './random.js';

/** Makes random queries that are correct by type and mostly find something. */

const MATH =
  'abs acos acosh asin asinh atan atanh ceil cos cosh deg exp floor ln log10 log2 rad round sgn sin sinh sqrt tan tanh'.split(
    ' ',
  );
const DATES = 'day_of_month day_of_week day_of_year days_in_month hour minute month year'.split(' ');
const COUNTER_RANGES = ['rate', 'increase', 'irate', 'resets', 'changes'];
const GAUGE_RANGES = ['delta', 'idelta', 'deriv', 'changes', 'resets'];
const OVER_TIME = 'avg count last max min present stddev stdvar sum mad ts_of_last ts_of_max ts_of_min'
  .split(' ')
  .map((name) => `${name}_over_time`);
const AGGREGATIONS = 'sum avg count min max group stddev stdvar'.split(' ');
const ARITHMETIC = ['+', '-', '*', '/', '%', '^', 'atan2'];
const COMPARISONS = ['==', '!=', '<', '>', '<=', '>='];
const NUMBERS = [
  '0',
  '1',
  '2',
  '0.5',
  '-1',
  '3.7',
  '100',
  '1e3',
  '-0.25',
  '1e-6',
  '5m',
  'NaN',
  'Inf',
  '-Inf',
];

export interface GeneratorOptions {
  readonly families: readonly Family[];
  readonly depthMax: number;
}

export class QueryGenerator extends HistogramGenerator {
  private readonly depthMax: number;

  constructor(random: Random, { families, depthMax }: GeneratorOptions) {
    super(random, families);
    this.depthMax = depthMax;
  }

  /** A whole query; range vectors and strings only where an instant query may give them. */
  query(isInstant: boolean): Expression {
    const depth = 1 + this.random.int(this.depthMax);
    if (isInstant && this.random.chance(0.02)) return this.matrix(1);
    if (isInstant && this.random.chance(0.003)) return expression('string', ['"a\\u00e9<&>"']);
    return this.random.chance(0.06) ? this.scalar(depth) : this.vector(depth);
  }

  protected vector(depth: number): Expression {
    const { random } = this;
    if (depth <= 0) return this.selector();
    const native = this.families.some((family) => family.kind === 'native') ? 1 : 0;
    const make = random.weighted<() => Expression>([
      [4, () => this.selector()],
      [14, () => this.rangeFunction(depth)],
      [6, () => this.mathFunction(depth)],
      [14, () => this.aggregation(depth)],
      [6, () => this.ranked(depth)],
      [7, () => this.vectorScalar(depth)],
      [12, () => this.vectorVector(depth)],
      [6, () => this.setOperation(depth)],
      [2, () => this.unary(depth)],
      [4, () => this.labelFunction(depth)],
      [5, () => this.classicQuantile(depth)],
      [2, () => this.date(depth)],
      [3, () => this.sorted(depth)],
      [2, () => this.absent(depth)],
      [2, () => this.timestamp(depth)],
      [1, () => expression('vector', ['vector(', this.scalar(depth - 1), ')'], [])],
      [2, () => this.clamped(depth)],
      [2, () => this.info(depth)],
      [1, () => parenthesized(this.vector(depth - 1))],
      [native * 12, () => this.histogramFunction(depth)],
    ]);
    return make();
  }

  private matrix(depth: number, family: Family = this.family()): Expression {
    const { random } = this;
    if (depth > 1 && random.chance(0.2)) return this.subquery(depth);
    return this.rangeSelector(family);
  }

  private subquery(depth: number): Expression {
    const { random } = this;
    const inner = this.vector(depth - 1);
    const range = random.pick(['1m', '2m', '5m', '3m20s']);
    const step = random.pick(['', '10s', '15s', '30s', '1m', '7s']);
    return expression('matrix', [operand(inner), `[${range}:${step}]`, ...this.modifiers()], inner.labels);
  }

  private rangeFunction(depth: number): Expression {
    const { random } = this;
    if (random.chance(0.12)) {
      const matrix = this.matrix(depth);
      const quantile = this.quantileValue();
      const trend = random.pick(['0.1', '0.5', '0.9']);
      const parts = random.pick<Part[]>([
        ['quantile_over_time(', quantile, ', ', matrix, ')'],
        ['predict_linear(', matrix, ', ', random.pick(['600', '-60', '1h', '0']), ')'],
        [`double_exponential_smoothing(`, matrix, `, ${random.pick(['0.2', '0.5', '0.99'])}, ${trend})`],
      ]);
      return expression('vector', parts, matrix.labels);
    }
    if (random.chance(0.4)) {
      const matrix = this.matrix(depth, this.family('counter', 'bucket', 'native', 'mixed'));
      return expression('vector', [`${random.pick(COUNTER_RANGES)}(`, matrix, ')'], matrix.labels);
    }
    const matrix = this.matrix(depth);
    const name = random.chance(0.3) ? random.pick(GAUGE_RANGES) : random.pick(OVER_TIME);
    return expression('vector', [`${name}(`, matrix, ')'], matrix.labels);
  }

  private mathFunction(depth: number): Expression {
    const inner = this.vector(depth - 1);
    const name = this.random.pick(MATH);
    const nearest = name === 'round' && this.random.chance(0.5) ? [', ', this.scalar(0)] : [];
    return expression('vector', [`${name}(`, inner, ...nearest, ')'], inner.labels);
  }

  private grouping(labels: readonly string[] | null): { clause: string; labels: readonly string[] | null } {
    const { random } = this;
    const known = labels ?? ['instance', 'job'];
    const chosen = random.some(known);
    const names = chosen.map((name) => (/^\w+$/.test(name) ? name : JSON.stringify(name)));
    if (random.chance(0.25)) return { clause: '', labels: [] };
    if (random.chance(0.6)) {
      if (random.chance(0.05)) names.push('nosuch');
      if (random.chance(0.05)) names.push('__name__');
      return { clause: ` by (${names.join(', ')}) `, labels: chosen };
    }
    const left = labels === null ? null : known.filter((name) => !chosen.includes(name));
    return { clause: ` without (${names.join(', ')}) `, labels: left };
  }

  private aggregation(depth: number): Expression {
    const { random } = this;
    const inner = this.vector(depth - 1);
    const { clause, labels } = this.grouping(inner.labels);
    if (random.chance(0.1)) {
      return expression('vector', [`quantile${clause}(`, this.quantileValue(), ', ', inner, ')'], labels);
    }
    if (random.chance(0.1)) {
      const label = random.pick(['value', 'value', 'value', 'job', 'new label']);
      const outer = labels === null ? null : [...labels, label];
      return expression('vector', [`count_values${clause}("${label}", `, inner, ')'], outer);
    }
    return expression('vector', [`${random.pick(AGGREGATIONS)}${clause}(`, inner, ')'], labels);
  }

  /** Aggregations that keep their members. */
  private ranked(depth: number): Expression {
    const { random } = this;
    const inner = this.vector(depth - 1);
    const { clause } = this.grouping(inner.labels);
    const name = random.pick(['topk', 'bottomk', 'limitk', 'limit_ratio', 'topk', 'bottomk']);
    const constants =
      name === 'limit_ratio'
        ? ['0.5', '-0.5', '0.1', '1', '-0.9', '2', '0']
        : ['1', '2', '3', '5', '2.9', '0', '-1', '1e9'];
    const parameter = random.chance(0.9)
      ? expression('scalar', [random.pick(constants)])
      : this.scalar(Math.min(1, depth - 1));
    return expression('vector', [`${name}${clause}(`, parameter, ', ', inner, ')'], inner.labels);
  }

  private vectorScalar(depth: number): Expression {
    const { random } = this;
    const inner = this.vector(depth - 1);
    const scalar = this.scalar(depth - 2);
    const isComparison = random.chance(0.4);
    const bool: Part[] = isComparison && random.chance(0.4) ? [{ optional: ['bool '] }] : [];
    const op = random.pick(isComparison ? COMPARISONS : ARITHMETIC);
    const [left, right] = random.chance(0.7) ? [inner, scalar] : [scalar, inner];
    return expression('vector', [operand(left), ` ${op} `, ...bool, operand(right)], inner.labels, true);
  }

  private vectorVector(depth: number): Expression {
    const { random } = this;
    const left = this.vector(depth - 1);
    // Half of the pairs share their family of labels by being made of the same pieces.
    const right = random.chance(0.5) ? this.twin(left, depth - 1) : this.vector(depth - 1);
    const isComparison = random.chance(0.4);
    const op = random.pick(isComparison ? COMPARISONS : ARITHMETIC);
    const bool: Part[] = isComparison && random.chance(0.4) ? [{ optional: ['bool '] }] : [];
    const pair = (a: Expression, matching: string, b: Expression, labels: readonly string[] | null) =>
      expression('vector', [operand(a), ` ${op} `, ...bool, matching, operand(b)], labels, true);
    if (left.labels === null || right.labels === null || random.chance(0.05)) {
      return pair(left, random.pick(['', 'on (job) ', 'ignoring (instance) ', 'on () ']), right, null);
    }
    if (sameLabels(left.labels, right.labels)) {
      const matching = random.chance(0.3) ? `on (${listOf(left.labels)}) ` : '';
      return pair(left, matching, right, left.labels);
    }
    if (includesAll(left.labels, right.labels)) return this.grouped(pair, left, right, 'left');
    if (includesAll(right.labels, left.labels)) return this.grouped(pair, right, left, 'right');
    const common = left.labels.filter((label) => right.labels?.includes(label));
    const total = (inner: Expression) =>
      expression(
        'vector',
        [`${random.pick(['sum', 'max', 'avg'])} by (${listOf(common)}) (`, inner, ')'],
        common,
      );
    return pair(total(left), '', total(right), common);
  }

  private grouped(
    pair: (a: Expression, matching: string, b: Expression, labels: readonly string[] | null) => Expression,
    many: Expression,
    one: Expression,
    side: 'left' | 'right',
  ): Expression {
    const { random } = this;
    const on = one.labels ?? [];
    const extra = (many.labels ?? []).filter((label) => !on.includes(label));
    const group = `group_${side} ${random.pick(['()', '()', '(nosuch)', '(region)', '(region, version)'])}`;
    const matching = random.chance(0.6)
      ? `on (${listOf(on)}) ${group} `
      : `ignoring (${listOf(extra)}) ${group} `;
    return side === 'left' ? pair(many, matching, one, many.labels) : pair(one, matching, many, many.labels);
  }

  /** Something of about the same series. */
  private twin(inner: Expression, depth: number): Expression {
    const { random } = this;
    if (random.chance(0.25)) return inner;
    const wrapped = expression('vector', [`${random.pick(MATH)}(`, inner, ')'], inner.labels);
    if (random.chance(0.4)) return wrapped;
    if (random.chance(0.4)) {
      return expression(
        'vector',
        [operand(inner), ` ${random.pick(COMPARISONS)} `, operand(this.scalar(depth - 1))],
        inner.labels,
        true,
      );
    }
    const { clause, labels } = this.grouping(inner.labels);
    return expression('vector', [`${random.pick(AGGREGATIONS)}${clause}(`, inner, ')'], labels);
  }

  private setOperation(depth: number): Expression {
    const { random } = this;
    const left = this.vector(depth - 1);
    const right = random.chance(0.6) ? this.twin(left, depth - 1) : this.vector(depth - 1);
    const op = random.pick(['and', 'or', 'unless']);
    const common = (left.labels ?? []).filter((label) => right.labels?.includes(label));
    const matching = random.pick([
      '',
      '',
      '',
      `on (${listOf(random.some(common))}) `,
      `ignoring (${listOf(random.some(common))}) `,
    ]);
    const labels = op === 'or' ? null : left.labels;
    return expression('vector', [operand(left), ` ${op} ${matching}`, operand(right)], labels, true);
  }

  private unary(depth: number): Expression {
    const inner = this.vector(depth - 1);
    return expression('vector', [this.random.pick(['-', '-', '+']), operand(inner)], inner.labels, true);
  }

  private labelFunction(depth: number): Expression {
    const { random } = this;
    const inner = this.vector(depth - 1);
    const source = random.pick(inner.labels ?? ['job']) ?? 'job';
    const target = random.pick(['new', 'new', source, '__name__', 'job', 'a.b']);
    const labels = target === 'new' ? [...(inner.labels ?? []), 'new'] : null;
    if (random.chance(0.4)) {
      const sources = random.some(inner.labels ?? ['job', 'instance']).map((label) => `, "${label}"`);
      return expression(
        'vector',
        ['label_join(', inner, `, "${target}", "${random.pick(['-', '', '/'])}"${sources.join('')})`],
        labels,
      );
    }
    const [pattern, replacement] = random.pick([
      ['(.*)', '$1'],
      ['(.).*', '$$$1-$1x$2'],
      ['i(\\\\d)', 'n$1'],
      ['(?P<first>.).*', '$first-$$'],
      ['nomatch', 'x'],
      ['.*', ''],
      ['', 'empty'],
      ['(a|w)(.*)', '$2$1$3'],
    ] as const);
    return expression(
      'vector',
      ['label_replace(', inner, `, "${target}", "${replacement}", "${source}", "${pattern}")`],
      labels,
    );
  }

  private date(depth: number): Expression {
    const { random } = this;
    const name = random.pick(DATES);
    if (random.chance(0.2)) return expression('vector', [`${name}()`], []);
    const stamps = this.families.find((family) => family.name === 'stamp_seconds')!;
    const inner = random.chance(0.7) ? this.selector(stamps) : this.vector(depth - 1);
    return expression('vector', [`${name}(`, inner, ')'], inner.labels);
  }

  private sorted(depth: number): Expression {
    const { random } = this;
    const inner = this.vector(depth - 1);
    const name = random.pick(['sort', 'sort_desc', 'sort_by_label', 'sort_by_label_desc']);
    const by = name.includes('by') ? random.some(inner.labels ?? ['job']).map((label) => `, "${label}"`) : [];
    return expression('vector', [`${name}(`, inner, by.join(''), ')'], inner.labels);
  }

  private absent(depth: number): Expression {
    const { random } = this;
    const missing = expression('vector', [
      `temperature{job="none", instance=~"i.", zone="${random.int(3)}"}`,
    ]);
    if (random.chance(0.4)) {
      const matrix = random.chance(0.5) ? this.matrix(depth) : expression('matrix', ['nothing{job="x"}[1m]']);
      return expression('vector', ['absent_over_time(', matrix, ')'], []);
    }
    return expression('vector', ['absent(', random.chance(0.6) ? missing : this.vector(depth - 1), ')'], []);
  }

  private timestamp(depth: number): Expression {
    const inner = this.random.chance(0.6) ? this.selector() : this.vector(depth - 1);
    return expression('vector', ['timestamp(', inner, ')'], inner.labels);
  }

  private clamped(depth: number): Expression {
    const { random } = this;
    const inner = this.vector(depth - 1);
    const name = random.pick(['clamp', 'clamp_min', 'clamp_max']);
    const bounds: Part[] =
      name === 'clamp' ? [', ', this.scalar(0), ', ', this.scalar(0)] : [', ', this.scalar(0)];
    return expression('vector', [`${name}(`, inner, ...bounds, ')'], inner.labels);
  }

  private info(depth: number): Expression {
    const { random } = this;
    const inner = random.chance(0.6) ? this.rangeFunction(1) : this.vector(depth - 1);
    const matchers = random.pick([
      '',
      ', {region=~".+"}',
      ', {version="1.1"}',
      ', {__name__="build_info"}',
      ', {__name__=~".+_info", region=~".*"}',
      ', {region="eu", version!=""}',
    ]);
    return expression(
      'vector',
      ['info(', inner, ...(matchers === '' ? [] : [{ optional: [matchers] }]), ')'],
      null,
    );
  }

  protected scalar(depth: number): Expression {
    const { random } = this;
    if (depth <= 0) return expression('scalar', [random.chance(0.1) ? 'time()' : random.pick(NUMBERS)]);
    const make = random.weighted<() => Expression>([
      [4, () => this.scalar(0)],
      [3, () => expression('scalar', ['scalar(', this.single(depth - 1), ')'])],
      [1, () => expression('scalar', ['time()'])],
      [1, () => expression('scalar', ['pi()'])],
      [3, () => this.scalarPair(depth)],
      [1, () => expression('scalar', ['-', operand(this.scalar(depth - 1))], null, true)],
    ]);
    return make();
  }

  private scalarPair(depth: number): Expression {
    const { random } = this;
    const op = random.chance(0.3) ? `${random.pick(COMPARISONS)} bool` : random.pick(ARITHMETIC);
    return expression(
      'scalar',
      [operand(this.scalar(depth - 1)), ` ${op} `, operand(this.scalar(depth - 1))],
      null,
      true,
    );
  }

  /** A vector of one element, mostly. */
  private single(depth: number): Expression {
    const inner = this.vector(depth - 1);
    return this.random.chance(0.2)
      ? inner
      : expression('vector', [`${this.random.pick(AGGREGATIONS)}(`, inner, ')'], []);
  }
}

function listOf(labels: readonly string[]): string {
  return labels.map((label) => (/^\w+$/.test(label) ? label : JSON.stringify(label))).join(', ');
}

function includesAll(outer: readonly string[], inner: readonly string[]): boolean {
  return inner.every((label) => outer.includes(label));
}

function sameLabels(a: readonly string[], b: readonly string[]): boolean {
  return includesAll(a, b) && includesAll(b, a);
}
