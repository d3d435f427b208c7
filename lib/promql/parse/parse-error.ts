import { VarveError } from '../../errors/index.js';

/**
 * Makes the error of a query that does not parse, with the text Prometheus gives: `line:col: parse error: text`.
 * @param offset byte offset in the UTF-8 query of what the text is about
 */
export function parseError(query: string, offset: number, text: string): VarveError {
  return new VarveError('client', 'promql-parse', `${positionOf(query, offset)}: parse error: ${text}`);
}

/** `line:col`, both from 1, the column in bytes since the last line feed. */
export function positionOf(query: string, offset: number): string {
  if (query === '') return 'unknown position';
  const bytes = Buffer.from(query);
  let line = 1;
  let lastBreak = -1;
  for (let i = 0; i < offset && i < bytes.length; i++) {
    if (bytes[i] === 0x0a) {
      line++;
      lastBreak = i;
    }
  }
  return `${line}:${offset - lastBreak}`;
}
