/** A tracked text file. */
export interface SourceFile {
  /** Path from the repository's root, with slashes. */
  readonly path: string;
  readonly text: string;
}

/** One thing that should be different, and where. */
export interface Finding {
  readonly path: string;
  readonly line: number;
  readonly text: string;
}

/** The line, from 1, in which an offset lies. */
export function lineAt(text: string, offset: number): number {
  let line = 1;
  for (let i = text.indexOf('\n'); i >= 0 && i < offset; i = text.indexOf('\n', i + 1)) line++;
  return line;
}

// Comments, strings and regular expressions, in the order in which they can begin. A slash starts a regular expression
// after an operator or an opening bracket when no blank follows: our formatter puts blanks around a division.
const NOT_CODE =
  /\/\/[^\n]*|\/\*[\s\S]*?\*\/|'(?:\\.|[^'\\\n])*'|"(?:\\.|[^"\\\n])*"|`(?:\\[\s\S]|[^`\\])*`|(?<=[=(,:;!&|?{}[\]]\s*|return )\/(?![*/\s])(?:\\.|\[(?:\\.|[^\]\\\n])*\]|[^/\\\n])+\/[a-z]*/g;

/** The text with comments, strings and regular expressions blanked out; offsets and lines stay. */
export function codeOnly(text: string): string {
  return text.replace(NOT_CODE, (found) => found.replace(/[^\n]/g, ' '));
}
