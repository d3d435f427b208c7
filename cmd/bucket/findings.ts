import { messageOf, VarveError } from '../../lib/errors/index.js';
import type { Output } from './command.js';

/** Collects what a verification finds and prints it at once, a line each. */
export class Findings {
  problemCount = 0;
  readonly #output: Output;

  constructor(output: Output) {
    this.#output = output;
  }

  /** Something is wrong. @param object name of the object, or of the block's folder */
  problem(object: string, text: string, offset: number | null = null): void {
    this.problemCount++;
    const where = offset === null ? object : `${object} offset ${offset}`;
    this.#output.print(`${where}: ${text.replaceAll('\n', ' ')}`);
  }

  /** Something that need not be wrong. */
  note(object: string, text: string): void {
    this.#output.print(`note: ${object}: ${text}`);
  }

  /**
   * What reading a block failed with.
   * @param directory the local folder that stands for `object` in messages
   */
  corruption(object: string, error: VarveError, directory: string): void {
    const { file, object: named, offset } = error.details;
    const nameOf = (text: string): string => text.replaceAll(directory, object);
    const where = typeof named === 'string' ? named : typeof file === 'string' ? nameOf(file) : object;
    const text = nameOf(messageOf(error));
    const rest = text.startsWith(where) ? text.slice(where.length).replace(/^:? /, '') : text;
    this.problem(where, `${rest} [${error.code}]`, typeof offset === 'number' ? offset : null);
  }
}

/** Whether an error says that bytes are not what they should be. */
export function isCorruption(error: unknown): error is VarveError {
  return error instanceof VarveError && error.kind === 'corruption';
}
