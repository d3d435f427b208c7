/** How names that old readers do not know are written for them, by the names of the `escaping` parameter of `Accept`. */
export type Escaping = 'allow-utf-8' | 'underscores' | 'dots' | 'values';

const LEGACY_METRIC = /^[a-zA-Z_:][a-zA-Z0-9_:]*$/;
const LEGACY_LABEL = /^[a-zA-Z_][a-zA-Z0-9_]*$/;

/** Whether every reader knows the name. */
export function isLegacyName(name: string, isMetric: boolean): boolean {
  return (isMetric ? LEGACY_METRIC : LEGACY_LABEL).test(name);
}

/** A name in a form that the reader knows; names that need no escaping stay as they are. */
export function escapeName(name: string, isMetric: boolean, escaping: Escaping): string {
  if (escaping === 'allow-utf-8' || name === '' || isLegacyName(name, isMetric)) return name;
  let escaped = escaping === 'values' ? 'U__' : '';
  let isFirst = true;
  for (const character of name) {
    const isDigit = /[0-9]/.test(character);
    const isValid = /[a-zA-Z0-9_]/.test(character) || (isMetric && character === ':');
    if (escaping === 'values' && character === '_') escaped += '__';
    else if (escaping === 'dots' && character === '_') escaped += '__';
    else if (escaping === 'dots' && character === '.') escaped += '_dot_';
    else if (isValid && !(isFirst && isDigit && escaping !== 'values')) escaped += character;
    else if (escaping === 'values') escaped += `_${character.codePointAt(0)!.toString(16)}_`;
    else escaped += escaping === 'dots' ? '__' : '_';
    isFirst = false;
  }
  return escaped;
}
