import { statfsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { parseArgs } from 'node:util';

export const USAGE = `npm run bench:storage -- [options]
  --days=N         simulated days, up to the last midnight that is settled   (30)
  --series=N       series                                                    (10000)
  --interval=D     between scrapes, in seconds                               (30)
  --rf-days=N      days of the comparison of three replicas with one; 0: none (3)
  --rf-only        only that comparison
  --no-queries     leave the queries out
  --hour-span=N    days of one block of hours                                (7, fewer for short runs)
  --day-span=N     days of one block of days                                 (28, fewer for short runs)
  --args=...       further flags of Varve, separated by blanks`;

export const HOUR_MS = 3_600_000;
export const DAY_MS = 24 * HOUR_MS;

/** Late samples may come for half an hour by default, and the smallest block range has two hours. */
const SETTLED_AFTER_MS = 3 * HOUR_MS;
/** Raw samples with their later versions, the log and the compactor's scratch, at the worst of a run. */
const DISK_BYTES_PER_SAMPLE = 16;
const DISK_BYTES_BASE = 1e9;

/** What a run does. */
export interface Setup {
  readonly days: number;
  readonly series: number;
  readonly intervalMs: number;
  readonly rfDays: number;
  readonly isRfOnly: boolean;
  readonly hasQueries: boolean;
  readonly hourSpanMs: number;
  readonly daySpanMs: number;
  readonly args: readonly string[];
  /** End of all samples, exclusive: a midnight. */
  readonly endMs: number;
}

/** Reads the command line; null when help was asked for. */
export function readSetup(args: readonly string[], nowMs: number): Setup | null {
  const { values } = parseArgs({
    args: [...args],
    options: {
      days: { type: 'string', default: '30' },
      series: { type: 'string', default: '10000' },
      interval: { type: 'string', default: '30' },
      'rf-days': { type: 'string', default: '3' },
      'rf-only': { type: 'boolean', default: false },
      'no-queries': { type: 'boolean', default: false },
      'hour-span': { type: 'string' },
      'day-span': { type: 'string' },
      args: { type: 'string', default: '' },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) return null;
  const days = positive('days', values.days);
  const endMs = Math.floor((nowMs - SETTLED_AFTER_MS) / DAY_MS) * DAY_MS;
  const startMs = endMs - days * DAY_MS;
  const hourDays = span('hour-span', values['hour-span'], [7, 1], startMs, endMs);
  const dayDays = span('day-span', values['day-span'], [28, 14, 7, hourDays], startMs, endMs);
  if (dayDays % hourDays !== 0) throw new Error('--day-span has to be a multiple of --hour-span');
  return {
    days,
    series: positive('series', values.series),
    intervalMs: positive('interval', values.interval) * 1000,
    rfDays: values['rf-days'] === '0' ? 0 : positive('rf-days', values['rf-days']),
    isRfOnly: values['rf-only'],
    hasQueries: !values['no-queries'],
    hourSpanMs: hourDays * DAY_MS,
    daySpanMs: dayDays * DAY_MS,
    args: values.args.split(' ').filter((arg) => arg !== ''),
    endMs,
  };
}

function positive(name: string, text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value <= 0) throw new Error(`--${name} has to be a whole number above 0`);
  return value;
}

/** The given span, or the largest of some that lies at least once, aligned, within the samples. */
function span(
  name: string,
  given: string | undefined,
  choices: readonly number[],
  startMs: number,
  endMs: number,
): number {
  if (given !== undefined) return positive(name, given);
  const fits = (days: number) =>
    Math.ceil(startMs / (days * DAY_MS)) * days * DAY_MS + days * DAY_MS <= endMs;
  return choices.find(fits) ?? choices.at(-1)!;
}

/** Samples of some days of all series, restarts not counted. */
export function samplesOf(setup: Setup, days: number): number {
  return (days * DAY_MS * setup.series) / setup.intervalMs;
}

/** Bytes that the run may need at the same time below the temporary folder. @throws when they are not there */
export function checkDisk(setup: Setup): number {
  const main = setup.isRfOnly ? 0 : samplesOf(setup, setup.days);
  const needed = DISK_BYTES_BASE + DISK_BYTES_PER_SAMPLE * Math.max(main, 4 * samplesOf(setup, setup.rfDays));
  const disk = statfsSync(tmpdir());
  const free = disk.bavail * disk.bsize;
  if (free < needed) {
    throw new Error(
      `this needs about ${gigabytes(needed)} below ${tmpdir()}, where ${gigabytes(free)} are free`,
    );
  }
  return needed;
}

export function gigabytes(bytes: number): string {
  return `${(bytes / 1e9).toFixed(2)} GB`;
}
