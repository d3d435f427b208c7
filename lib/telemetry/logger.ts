import { destination, pino } from 'pino';

/**
 * A structured logger: one JSON object per line. Request and response bodies are never logged; a message names the
 * thing that happened, the fields say to what.
 */
export interface Logger {
  debug(fields: LogFields, message: string): void;
  info(fields: LogFields, message: string): void;
  warn(fields: LogFields, message: string): void;
  error(fields: LogFields, message: string): void;
  /** A logger that adds fields to every line. */
  child(fields: LogFields): Logger;
}

export type LogFields = Readonly<Record<string, string | number | boolean | null | readonly string[]>>;

export interface LoggerOptions {
  readonly level: string;
  /** Where lines go; stderr when absent. */
  readonly write?: (line: string) => void;
}

/** Makes the logger of a process. Lines are written synchronously, so none is lost when the process dies. */
export function createLogger(options: LoggerOptions): Logger {
  const stream =
    options.write === undefined ? destination({ dest: 2, sync: true }) : { write: options.write };
  return pino(
    {
      level: options.level,
      base: null,
      timestamp: () => `,"time":"${new Date().toISOString()}"`,
      messageKey: 'message',
      formatters: { level: (label) => ({ level: label }) },
    },
    stream,
  );
}

/** A logger that keeps quiet, for tests. */
export const silentLogger: Logger = {
  debug: () => {},
  info: () => {},
  warn: () => {},
  error: () => {},
  child: () => silentLogger,
};
