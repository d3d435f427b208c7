import type { Matcher } from '../../matcher/index.js';
import type { SelectHints } from '../../storage/index.js';
import type { PositionRange } from '../parse/index.js';
import type { ScalarNode, SelectSpec, VectorNode } from './node.js';

type Node = ScalarNode | VectorNode;

/** Where a node stands in the query: does not make two nodes different. */
const POSITIONS: ReadonlySet<string> = new Set(['pos', 'childPos', 'paramPos', 'quantilePos']);

/**
 * Makes equal nodes one: a node's key spells out its own fields and names its children by number, so that comparing
 * keys compares whole trees.
 */
export class Interner {
  readonly selects: SelectSpec[] = [];
  private readonly nodes = new Map<string, Node>();
  private readonly numbers = new Map<object, number>();
  private readonly selectsByKey = new Map<string, SelectSpec>();

  node<T extends Node>(candidate: T): T {
    const children: Node[] = [];
    let key = '';
    for (const [name, value] of Object.entries(candidate)) {
      if (name !== 'uses' && !POSITIONS.has(name)) key += `${name}=${this.spell(value, children)};`;
    }
    const known = this.nodes.get(key) as T | undefined;
    if (known !== undefined) {
      // Annotations with equal texts keep the position of the last one.
      const positions = Object.entries(candidate).filter(([name]) => POSITIONS.has(name));
      Object.assign(known, Object.fromEntries(positions));
      return known;
    }
    this.nodes.set(key, candidate);
    this.numbers.set(candidate, this.numbers.size);
    for (const child of children) child.uses++;
    return candidate;
  }

  select(matchers: readonly Matcher[], hints: SelectHints, pos: PositionRange): SelectSpec {
    const key = `${spellMatchers(matchers)}|${hints.minTimeMs}|${hints.maxTimeMs}|${hints.rangeMs}|${hints.stepMs}|${hints.newestOnly}|${hints.plan?.key ?? ''}`;
    let spec = this.selectsByKey.get(key);
    if (spec === undefined) {
      spec = { index: this.selects.length, matchers, hints, pos };
      this.selects.push(spec);
      this.selectsByKey.set(key, spec);
      this.numbers.set(spec, this.numbers.size);
    }
    return spec;
  }

  private spell(value: unknown, children: Node[]): string {
    if (typeof value === 'number') return Object.is(value, -0) ? '-0' : String(value);
    if (typeof value !== 'object' || value === null) return JSON.stringify(value) ?? '';
    const number = this.numbers.get(value);
    if (number !== undefined) {
      if ('uses' in value) children.push(value as Node);
      return `#${number}`;
    }
    if (Array.isArray(value)) return `[${value.map((item) => this.spell(item, children)).join(',')}]`;
    return `{${Object.entries(value)
      .map(([name, field]) => `${name}:${this.spell(field, children)}`)
      .join(',')}}`;
  }
}

function spellMatchers(matchers: readonly Matcher[]): string {
  return matchers.map((m) => JSON.stringify([m.type, m.name, m.value])).join();
}
