import type { Bucket, BucketSettings } from '../../lib/bucket/index.js';
import type { Clock } from '../../lib/clock/index.js';
import type { Config } from '../../lib/config/index.js';
import { VarveError } from '../../lib/errors/index.js';

/** Exit codes: 0 all is well, 1 something is wrong or failed, 2 wrong command line or configuration. */
export const EXIT_OK = 0;
export const EXIT_PROBLEM = 1;
export const EXIT_USAGE = 2;

/** A flag of one command, beside those that say where the bucket is. */
export interface Flag {
  /** Without dashes. */
  readonly name: string;
  /** What the value is, for the help text; '' for a switch. */
  readonly value: string;
  readonly description: string;
}

/** One of the commands of `varve bucket`. */
export interface Command {
  readonly name: string;
  /** Arguments as the help text shows them. */
  readonly synopsis: string;
  /** One line for the list of commands. */
  readonly summary: string;
  /** The rest of the command's help text. */
  readonly details: readonly string[];
  readonly flags: readonly Flag[];
  readonly argumentsMin: number;
  readonly argumentsMax: number;
  /** Settings of the server that the command reads, beside those of the bucket. */
  readonly settings: readonly string[];
  /** Whether it stores in the bucket of `--bucket`; all others get one that cannot be changed. */
  readonly isWriting: boolean;
  /** Whether it takes `--to` and `--to-…`. */
  readonly hasTarget: boolean;
  /** @returns the exit code */
  run(context: Context): Promise<number>;
}

/** A bucket and where it is. */
export interface OpenBucket {
  readonly settings: BucketSettings;
  readonly bucket: Bucket;
  /** For messages: its URL, with the endpoint if it has one. */
  readonly title: string;
}

/** Where text goes. Each call is one or more whole lines, without the last line's end. */
export interface Output {
  /** Results: stdout. */
  print(text: string): void;
  /** What is going on: stderr. */
  tell(text: string): void;
}

/** What a command works with. */
export interface Context {
  readonly args: readonly string[];
  /** Flags of the command that were given, with all their values; '' for a switch. */
  readonly flags: ReadonlyMap<string, readonly string[]>;
  readonly config: Config;
  readonly source: OpenBucket;
  /** The bucket of `--to`; null for commands without it. */
  readonly target: OpenBucket | null;
  readonly output: Output;
  readonly clock: Clock;
  /** Aborted when the user wants to stop. */
  readonly signal: AbortSignal;
}

/** A command line that makes no sense. */
export function usageError(message: string): VarveError {
  return new VarveError('client', 'usage', message);
}
