import { type Expression, expression, operand } from './expression.js';
import { SelectorGenerator } from './selector-generator.js';

const HISTOGRAM_PARTS = ['count', 'sum', 'avg', 'stddev', 'stdvar'].map((name) => `histogram_${name}`);
const RANGE_FUNCTIONS = [
  ...['rate', 'increase', 'irate', 'resets', 'changes', 'delta', 'idelta'],
  ...['avg', 'count', 'last', 'max', 'min', 'present', 'stddev', 'sum'].map((name) => `${name}_over_time`),
];

/** Makes expressions over classic and native histograms. */
export abstract class HistogramGenerator extends SelectorGenerator {
  protected abstract vector(depth: number): Expression;
  protected abstract scalar(depth: number): Expression;

  protected quantileValue(): Expression {
    const { random } = this;
    const constants = ['0.5', '0.9', '0.99', '0', '1', '0.25', '-0.1', '1.1', 'NaN'];
    return random.chance(0.95) ? expression('scalar', [random.pick(constants)]) : this.scalar(1);
  }

  protected classicQuantile(depth: number): Expression {
    const { random } = this;
    const name = random.chance(0.8) ? 'latency_bucket' : 'broken_bucket';
    const family = this.families.find((one) => one.name === name)!;
    const rate = expression('vector', [
      'rate(',
      expression('matrix', [...this.selectorParts(family), `[${random.pick(['1m', '2m', '5m'])}]`]),
      ')',
    ]);
    const buckets = random.weighted([
      [3, rate],
      [2, this.selector(family)],
      [2, expression('vector', ['sum by (le, job) (', rate, ')'])],
      [1, expression('vector', ['sum by (le) (', this.selector(family), ')'])],
      [1, this.vector(depth - 1)],
    ]);
    if (random.chance(0.3)) {
      const bounds = ['-Inf', '0', '0.2', '0.5', '1', '3', 'Inf', 'NaN'];
      return expression(
        'vector',
        [`histogram_fraction(${random.pick(bounds)}, ${random.pick(bounds)}, `, buckets, ')'],
        null,
      );
    }
    return expression('vector', ['histogram_quantile(', this.quantileValue(), ', ', buckets, ')'], null);
  }

  /** Functions and operators of native histograms. */
  protected histogramFunction(depth: number): Expression {
    const { random } = this;
    const family = this.family('native', 'native', 'mixed');
    const matrix = () => this.rangeSelector(family);
    const labels = Object.keys(family.labels);
    const source = random.weighted<() => Expression>([
      [4, () => this.selector(family)],
      [3, () => expression('vector', ['rate(', matrix(), ')'], labels)],
      [2, () => expression('vector', [`${random.pick(RANGE_FUNCTIONS)}(`, matrix(), ')'], labels)],
      [
        2,
        () =>
          expression(
            'vector',
            [
              `${random.pick(['sum', 'avg', 'sum', 'count', 'group'])} by (${random.pick(['job', 'instance', ''])}) (`,
              this.selector(family),
              ')',
            ],
            [],
          ),
      ],
      [
        1,
        () =>
          expression(
            'vector',
            [
              `${random.pick(['sum', 'avg'])} by (job) (`,
              expression('vector', ['rate(', matrix(), ')'], labels),
              ')',
            ],
            ['job'],
          ),
      ],
      [
        1,
        () =>
          expression(
            'vector',
            [
              this.selector(family),
              ` ${random.pick(['*', '/', '+', '-', '^', '==', '>'])} `,
              operand(this.scalar(0)),
            ],
            labels,
            true,
          ),
      ],
      [
        1,
        () =>
          expression(
            'vector',
            [
              this.selector(family),
              ` ${random.pick(['+', '-', '==', '!=', '*'])} `,
              this.selector(random.chance(0.6) ? family : this.family('native', 'mixed')),
            ],
            labels,
            true,
          ),
      ],
      [1, () => this.vector(depth - 1)],
    ])();
    const bounds = ['-Inf', '-1', '0', '0.2', '0.5', '1', '3', 'Inf', 'NaN'];
    return random.weighted<() => Expression>([
      [3, () => source],
      [
        3,
        () =>
          expression(
            'vector',
            ['histogram_quantile(', this.quantileValue(), ', ', source, ')'],
            source.labels,
          ),
      ],
      [
        2,
        () =>
          expression(
            'vector',
            [`histogram_fraction(${random.pick(bounds)}, ${random.pick(bounds)}, `, source, ')'],
            source.labels,
          ),
      ],
      [3, () => expression('vector', [`${random.pick(HISTOGRAM_PARTS)}(`, source, ')'], source.labels)],
    ])();
  }
}
