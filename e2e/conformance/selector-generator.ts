import { DATA_END_MS, DATA_START_MS, type Family } from './data.js';
import { type Expression, expression, type Part } from './expression.js';
import type { Random } from './random.js';

// The first eight are common.
const RANGES = [
  '15s',
  '45s',
  '1m',
  '2m',
  '5m',
  '7m',
  '10m',
  '1m30s',
  '100',
  '33s',
  '1ms',
  '2m * 2',
  '(1m + 30s)',
];
const OFFSETS = ['15s', '1m', '5m', '-1m', '-30s', '7s', '90', '1ms'];

/** Makes selectors of instant and range vectors. */
export class SelectorGenerator {
  protected readonly random: Random;
  protected readonly families: readonly Family[];

  constructor(random: Random, families: readonly Family[]) {
    this.random = random;
    this.families = families;
  }

  protected family(...kinds: Family['kind'][]): Family {
    const fitting = this.families.filter((family) => kinds.length === 0 || kinds.includes(family.kind));
    return this.random.pick(fitting.length > 0 ? fitting : this.families);
  }

  protected selector(family: Family = this.family()): Expression {
    return expression(
      'vector',
      [...this.selectorParts(family), ...this.modifiers()],
      Object.keys(family.labels),
    );
  }

  protected selectorParts(family: Family): Part[] {
    const { random } = this;
    const isPlain = /^[a-z_]+$/.test(family.name);
    const matchers: string[] = isPlain ? [] : [JSON.stringify(family.name)];
    for (const [label, values] of Object.entries(family.labels)) {
      if (!random.chance(0.15)) continue;
      const name = /^[a-z_]+$/.test(label) ? label : JSON.stringify(label);
      const value = random.pick(values);
      matchers.push(
        random.weighted([
          [4, `${name}="${value}"`],
          [2, `${name}!="${value}"`],
          [2, `${name}=~"${random.some(values, 1).join('|').replaceAll('+', '.')}"`],
          [1, `${name}=~".*${value.at(-1)}"`],
          [1, `${name}!~"${value.replaceAll('+', '.')}.*"`],
          [0.3, `${name}!=""`],
          [0.2, `${name}=""`],
        ]),
      );
    }
    if (random.chance(0.02)) matchers.push('nosuch=""');
    if (isPlain && random.chance(0.03))
      return [`{__name__=~"${family.name.slice(0, 5)}.*"${matchers.map((m) => `,${m}`).join('')}}`];
    if (matchers.length === 0) return [family.name];
    if (!isPlain) return [`{${matchers.join(',')}}`];
    return [family.name, ...(matchers.length > 0 ? [{ optional: [`{${matchers.join(',')}}`] }] : [])];
  }

  /** `offset` and `@`, mostly none. */
  protected modifiers(): Part[] {
    const { random } = this;
    const parts: Part[] = [];
    if (random.chance(0.1)) parts.push({ optional: [` offset ${random.pick(OFFSETS)}`] });
    if (random.chance(0.08)) parts.push({ optional: [` @ ${this.pin()}`] });
    return random.chance(0.5) ? parts.reverse() : parts;
  }

  protected pin(): string {
    const { random } = this;
    if (random.chance(0.4)) return random.pick(['start()', 'end()']);
    return ((DATA_START_MS + random.int(DATA_END_MS - DATA_START_MS)) / 1000).toFixed(random.int(4));
  }

  protected rangeSelector(family: Family): Expression {
    const { random } = this;
    const range = random.pick(RANGES.slice(0, random.chance(0.1) ? RANGES.length : 8));
    return expression(
      'matrix',
      [...this.selectorParts(family), `[${range}]`, ...this.modifiers()],
      Object.keys(family.labels),
    );
  }
}
