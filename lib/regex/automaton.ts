import type { CodeRanges, RegexpNode } from './syntax.js';

/**
 * Tests strings with a deterministic automaton that is built as far as the texts need it.
 *
 * The pattern becomes positions, one for each set in it once repetitions are written out, with the positions that may
 * follow each (Glushkov's construction). A state of the automaton is a set of positions. A text costs one table look-up
 * per code point, whatever the pattern. Patterns whose automaton would be large are refused: `compileAutomaton` returns
 * null for too many positions, and `test` returns null when the states run out.
 */
export interface Automaton {
  /** Whether the whole text is accepted; null when the automaton grew too large to tell. */
  test(text: string): boolean | null;
}

const POSITIONS_MAX = 300;
/** Nested repetitions link the same positions again and again; this bounds the time to compile. */
const LINKS_MAX = 50_000;
/** Bounds the memory of one automaton to some 200 kB. */
const STATES_MAX = 300;
const TRANSITIONS_MAX = 20_000;
const UNKNOWN = -2;
const DEAD = -1;

/** What a part of the pattern contributes: see Glushkov. `first` and `last` are positions. */
interface Part {
  readonly isNullable: boolean;
  readonly first: readonly number[];
  readonly last: readonly number[];
}

/** Positions of a pattern under construction. */
class Positions {
  readonly sets: CodeRanges[] = [];
  readonly follow: Set<number>[] = [];
  isFull = false;
  private linkCount = 0;

  add(node: RegexpNode): Part {
    switch (node.kind) {
      case 'set': {
        const position = this.sets.push(node.ranges) - 1;
        this.follow.push(new Set());
        if (position >= POSITIONS_MAX) this.isFull = true;
        return { isNullable: false, first: [position], last: [position] };
      }
      case 'choice': {
        const parts = node.items.map((item) => (this.isFull ? NOTHING : this.add(item)));
        return {
          isNullable: parts.some((part) => part.isNullable),
          first: parts.flatMap((part) => part.first),
          last: parts.flatMap((part) => part.last),
        };
      }
      case 'sequence':
        return this.addAll(node.items);
      case 'repeat':
        return this.addRepeat(node.item, node.min, node.max);
      default:
        return NOTHING;
    }
  }

  private addAll(items: readonly RegexpNode[]): Part {
    let whole: Part = NOTHING;
    for (const item of items) {
      if (this.isFull) break;
      whole = this.join(whole, this.add(item));
    }
    return whole;
  }

  private addRepeat(item: RegexpNode, min: number, max: number): Part {
    let whole: Part = NOTHING;
    const isEndless = max === Number.POSITIVE_INFINITY;
    const copies = isEndless ? Math.max(min, 1) : max;
    for (let i = 0; i < copies && !this.isFull; i++) {
      let part = this.add(item);
      if (isEndless && i === copies - 1) this.link(part.last, part.first);
      if (i >= min) part = { ...part, isNullable: true };
      whole = this.join(whole, part);
    }
    return whole;
  }

  private join(a: Part, b: Part): Part {
    this.link(a.last, b.first);
    return {
      isNullable: a.isNullable && b.isNullable,
      first: a.isNullable ? [...a.first, ...b.first] : a.first,
      last: b.isNullable ? [...a.last, ...b.last] : b.last,
    };
  }

  private link(from: readonly number[], to: readonly number[]): void {
    this.linkCount += from.length * to.length;
    if (this.linkCount > LINKS_MAX) this.isFull = true;
    else for (const position of from) for (const next of to) this.follow[position]!.add(next);
  }
}

const NOTHING: Part = { isNullable: true, first: [], last: [] };

/** Builds the start of the automaton; null when the pattern has too many positions. */
export function compileAutomaton(node: RegexpNode): Automaton | null {
  const positions = new Positions();
  const whole = positions.add(node);
  return positions.isFull ? null : new LazyAutomaton(positions, whole);
}

class LazyAutomaton implements Automaton {
  private readonly follow: readonly (readonly number[])[];
  private readonly final: ReadonlySet<number>;
  /** First code points of the classes: code points no set of the pattern tells apart. */
  private readonly boundaries: readonly number[];
  private readonly asciiClasses = new Uint16Array(128);
  /** `members[class]` are the positions whose set has that class. */
  private readonly members: readonly ReadonlySet<number>[];
  private readonly states: (readonly number[])[] = [];
  private readonly isAccepting: boolean[] = [];
  /** State by its positions. */
  private readonly stateIds = new Map<string, number>();
  private transitions = new Int32Array(0);

  constructor(positions: Positions, whole: Part) {
    this.follow = positions.follow.map((set) => [...set].sort((a, b) => a - b));
    this.final = new Set(whole.last);
    const starts = new Set([0]);
    for (const ranges of positions.sets)
      ranges.forEach((code, i) => {
        starts.add(i % 2 === 0 ? code : code + 1);
      });
    this.boundaries = [...starts].sort((a, b) => a - b);
    this.members = this.boundaries.map(
      (code) => new Set(positions.sets.flatMap((ranges, i) => (contains(ranges, code) ? [i] : []))),
    );
    for (let code = 0; code < 128; code++) this.asciiClasses[code] = this.classOf(code);
    this.addState(
      [...new Set(whole.first)].sort((a, b) => a - b),
      's',
      whole.isNullable,
    );
  }

  test(text: string): boolean | null {
    const classCount = this.boundaries.length;
    const { asciiClasses } = this;
    let state = 0;
    for (let i = 0; i < text.length; i++) {
      let code = text.charCodeAt(i);
      let kind: number;
      if (code < 128) kind = asciiClasses[code]!;
      else {
        code = text.codePointAt(i)!;
        if (code > 0xffff) i++;
        kind = this.classOf(code);
      }
      let next = this.transitions[state * classCount + kind]!;
      if (next === UNKNOWN) {
        next = this.step(state, kind);
        if (next === UNKNOWN) return null;
      }
      if (next === DEAD) return false;
      state = next;
    }
    return this.isAccepting[state]!;
  }

  /** Makes the transition; UNKNOWN when there is no room for another state. */
  private step(state: number, kind: number): number {
    const members = this.members[kind]!;
    const hit = this.states[state]!.filter((position) => members.has(position));
    let next = DEAD;
    if (hit.length > 0) {
      const key = hit.join(',');
      next = this.stateIds.get(key) ?? UNKNOWN;
      if (next === UNKNOWN) {
        const count = this.states.length;
        if (count >= STATES_MAX || count * this.boundaries.length >= TRANSITIONS_MAX) return UNKNOWN;
        const reached = new Set<number>();
        for (const position of hit) for (const follower of this.follow[position]!) reached.add(follower);
        const isAccepting = hit.some((position) => this.final.has(position));
        next = this.addState(
          [...reached].sort((a, b) => a - b),
          key,
          isAccepting,
        );
      }
    }
    this.transitions[state * this.boundaries.length + kind] = next;
    return next;
  }

  /** Adds a state given the positions that may come next. */
  private addState(reached: readonly number[], key: string, isAccepting: boolean): number {
    const id = this.states.push(reached) - 1;
    this.isAccepting.push(isAccepting);
    this.stateIds.set(key, id);
    const size = this.states.length * this.boundaries.length;
    if (size > this.transitions.length) {
      const grown = new Int32Array(size * 2).fill(UNKNOWN);
      grown.set(this.transitions);
      this.transitions = grown;
    }
    return id;
  }

  private classOf(code: number): number {
    let lo = 0;
    let hi = this.boundaries.length - 1;
    while (lo < hi) {
      const middle = (lo + hi + 1) >>> 1;
      if (this.boundaries[middle]! <= code) lo = middle;
      else hi = middle - 1;
    }
    return lo;
  }
}

function contains(ranges: CodeRanges, code: number): boolean {
  for (let i = 0; i < ranges.length; i += 2) if (code >= ranges[i]! && code <= ranges[i + 1]!) return true;
  return false;
}
