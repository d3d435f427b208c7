/**
 * Labels and label sets at the edges of the system (API, blocks, tests). Hot paths carry symbol ids instead.
 * A label set is sorted by name in UTF-8 byte order, has no duplicate names and no empty values.
 */
export interface Label {
  readonly name: string;
  readonly value: string;
}

export type LabelSet = readonly Label[];

export const METRIC_NAME = '__name__';

/**
 * Compares two strings by their UTF-8 bytes, which is code point order. JavaScript's `<` compares UTF-16 code
 * units and differs outside the basic multilingual plane, where a wrong order makes an unreadable block.
 */
export function compareUtf8(a: string, b: string): number {
  const n = Math.min(a.length, b.length);
  for (let i = 0; i < n; i++) {
    let x = a.charCodeAt(i);
    let y = b.charCodeAt(i);
    if (x === y) continue;
    // Surrogates (0xD800..0xDFFF) stand for code points above every other UTF-16 unit: lift them there.
    if (x >= 0xd800 && y >= 0xd800) {
      x = x >= 0xe000 ? x - 0x800 : x + 0x2000;
      y = y >= 0xe000 ? y - 0x800 : y + 0x2000;
    }
    return x - y;
  }
  return a.length - b.length;
}

/** Order of label sets: pairwise name then value by bytes, a proper prefix first. */
export function compareLabelSets(a: LabelSet, b: LabelSet): number {
  const n = Math.min(a.length, b.length);
  for (let i = 0; i < n; i++) {
    const x = a[i]!;
    const y = b[i]!;
    const byName = compareUtf8(x.name, y.name);
    if (byName !== 0) return byName;
    const byValue = compareUtf8(x.value, y.value);
    if (byValue !== 0) return byValue;
  }
  return a.length - b.length;
}

/** Builds a label set from a plain object: sorts, and drops empty values, which mean "absent". */
export function labelsFromObject(object: Readonly<Record<string, string>>): LabelSet {
  return Object.entries(object)
    .filter(([, value]) => value !== '')
    .map(([name, value]) => ({ name, value }))
    .sort((a, b) => compareUtf8(a.name, b.name));
}

/** The value of a label, or the empty string when the set has none of that name. */
export function labelValue(labels: LabelSet, name: string): string {
  for (const label of labels) if (label.name === name) return label.value;
  return '';
}
