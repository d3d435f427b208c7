import { ANY_CODE, type RegexpNode } from './syntax.js';

/** Sets with more members are not spelled out. */
const SET_SIZE_MAX = 16;

/** Every string the node accepts, without repeats, or null when there are more than `limit`. */
export function enumerate(node: RegexpNode, limit: number): string[] | null {
  switch (node.kind) {
    case 'set': {
      const out: string[] = [];
      for (let i = 0; i < node.ranges.length; i += 2) {
        const lo = node.ranges[i]!;
        const hi = node.ranges[i + 1]!;
        if (out.length + hi - lo + 1 > SET_SIZE_MAX) return null;
        for (let code = lo; code <= hi; code++) out.push(String.fromCodePoint(code));
      }
      return out.length <= limit ? out : null;
    }
    case 'choice': {
      const out = new Set<string>();
      for (const item of node.items) {
        const values = enumerate(item, limit);
        if (values === null) return null;
        for (const value of values) out.add(value);
        if (out.size > limit) return null;
      }
      return [...out];
    }
    case 'sequence': {
      let out: string[] | null = [''];
      for (const item of node.items) {
        const values: string[] | null = out === null ? null : enumerate(item, limit);
        if (out === null || values === null) return null;
        out = product(out, values, limit);
      }
      return out;
    }
    case 'repeat': {
      if (node.max > SET_SIZE_MAX) return null;
      const values = enumerate(node.item, limit);
      if (values === null) return null;
      const out = new Set<string>();
      let powers: string[] | null = [''];
      for (let count = 0; count <= node.max; count++) {
        if (count > 0) powers = product(powers, values, limit);
        if (powers === null) return null;
        if (count >= node.min) for (const value of powers) out.add(value);
        if (out.size > limit) return null;
      }
      return [...out];
    }
    default:
      return null;
  }
}

/** Each of the heads with each of the tails, without repeats; null when there are more than `limit`. */
function product(heads: readonly string[], tails: readonly string[], limit: number): string[] | null {
  if (heads.length * tails.length > limit) return null;
  if (tails.length === 1) return heads.map((head) => head + tails[0]!);
  const out = new Set<string>();
  for (const head of heads) for (const tail of tails) out.add(head + tail);
  return [...out];
}

/** The longest literal every accepted string begins with, as far as it is easily known. */
export function prefixOf(node: RegexpNode): string {
  return prefix(node).text;
}

/** `isWhole` says that the node accepts nothing but the text. */
function prefix(node: RegexpNode): { text: string; isWhole: boolean } {
  switch (node.kind) {
    case 'set':
      if (node.ranges.length === 2 && node.ranges[0] === node.ranges[1])
        return { text: String.fromCodePoint(node.ranges[0]!), isWhole: true };
      return { text: '', isWhole: false };
    case 'sequence': {
      let text = '';
      for (const item of node.items) {
        const part = prefix(item);
        text += part.text;
        if (!part.isWhole) return { text, isWhole: false };
      }
      return { text, isWhole: true };
    }
    case 'choice': {
      const parts = node.items.map(prefix);
      let common = [...parts[0]!.text];
      for (const { text } of parts) {
        const codes = [...text];
        let n = 0;
        while (n < common.length && common[n] === codes[n]) n++;
        common = common.slice(0, n);
      }
      return { text: common.join(''), isWhole: false };
    }
    case 'repeat': {
      if (node.min === 0) return { text: '', isWhole: false };
      const part = prefix(node.item);
      if (!part.isWhole) return { text: part.text, isWhole: false };
      return { text: part.text.repeat(node.min), isWhole: node.max === node.min };
    }
    default:
      return { text: '', isWhole: false };
  }
}

/**
 * Literals with wildcards between: `literals[i]`, then at least `gaps[i]` code points of anything, then
 * `literals[i + 1]`. There is one gap less than there are literals.
 */
export interface Glob {
  readonly literals: readonly string[];
  readonly gaps: readonly number[];
}

/** The node as a glob, when it consists of literals, `.*` and `.+` alone, with at least one of the latter. */
export function globOf(node: RegexpNode): Glob | null {
  const items = node.kind === 'sequence' ? node.items.flatMap(flat) : [node];
  const literals = [''];
  const gaps: number[] = [];
  for (const item of items) {
    if (item.kind === 'repeat' && item.item.kind === 'set' && isAny(item.item.ranges)) {
      if (item.max !== Number.POSITIVE_INFINITY || item.min > 1) return null;
      const last = literals.length - 1;
      if (last > 0 && literals[last] === '') gaps[last - 1]! += item.min;
      else {
        gaps.push(item.min);
        literals.push('');
      }
    } else {
      const part = prefix(item);
      if (!part.isWhole) return null;
      literals[literals.length - 1] += part.text;
    }
  }
  return gaps.length === 0 ? null : { literals, gaps };
}

function flat(node: RegexpNode): readonly RegexpNode[] {
  return node.kind === 'sequence' ? node.items.flatMap(flat) : [node];
}

function isAny(ranges: readonly number[]): boolean {
  return ranges.length === 2 && ranges[0] === ANY_CODE[0] && ranges[1] === ANY_CODE[1];
}

/** A test for a glob. Taking the leftmost place for each literal is always right, so nothing is tried twice. */
export function globTest({ literals, gaps }: Glob): (text: string) => boolean {
  const first = literals[0]!;
  const last = literals[literals.length - 1]!;
  if (literals.length === 2 && gaps[0] === 0) {
    if (first === '' && last === '') return () => true;
    if (last === '') return (text) => text.startsWith(first);
    if (first === '') return (text) => text.endsWith(last);
  }
  if (literals.length === 3 && first === '' && last === '' && gaps[0] === 0 && gaps[1] === 0) {
    const middle = literals[1]!;
    return (text) => text.includes(middle);
  }
  if (literals.length === 2 && first === '' && last === '' && gaps[0] === 1) return (text) => text !== '';
  return (text) => {
    if (!text.startsWith(first)) return false;
    const end = text.length - last.length;
    let at = first.length;
    for (let i = 1; i < literals.length - 1; i++) {
      at = skipCodes(text, at, gaps[i - 1]!);
      const found = at < 0 ? -1 : text.indexOf(literals[i]!, at);
      if (found < 0) return false;
      at = found + literals[i]!.length;
    }
    at = skipCodes(text, at, gaps[gaps.length - 1]!);
    return at >= 0 && at <= end && text.endsWith(last);
  };
}

/** Index after `count` code points from `at`, or -1 when the text ends before. */
function skipCodes(text: string, at: number, count: number): number {
  for (let i = 0; i < count; i++) {
    if (at >= text.length) return -1;
    at += text.codePointAt(at)! > 0xffff ? 2 : 1;
  }
  return at;
}
