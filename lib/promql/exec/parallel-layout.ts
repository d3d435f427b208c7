/**
 * The shared control area of a query that several threads work on: 32-bit words for what changes hands with atomic
 * operations, floats for what is written before it is handed over. One area belongs to one query thread.
 *
 * A session is one query. It has at most JOBS_MAX jobs (leaves). The rows of a job are read in blocks and computed in
 * units, a part of a block each. Units are claimed in their order by counting up `next` and go to a ring that holds a
 * few whole blocks; the reader takes the blocks in their order. Unit u lies in slot u % (units of the ring).
 */

/** Threads that may help one query. */
export const HELPERS_MAX = 3;
export const JOBS_MAX = 4;
/** Units in the ring of a job, at most. */
export const SLOTS_MAX = 64;

/** Words of the control area. */
export const CONTROL = {
  /** Number of the session: odd while it is open. */
  session: 0,
  /** Helpers that may touch the memory now. */
  active: 1,
  /** Work areas that no helper has, a bit each. */
  areas: 2,
  /** Counts up with every change that may give a helper work. */
  bell: 3,
  jobCount: 4,
} as const;

const JOBS_BEGIN = 8;
/** Words of a job. */
export const JOB = {
  /** The next unit to be claimed. */
  next: 0,
  /** Units from here on do not fit the ring before the reader goes on. */
  limit: 1,
} as const;
const SLOTS_BEGIN = 2;
const JOB_WORDS = SLOTS_BEGIN + SLOTS_MAX;

/** Float fields of a job. Addresses lie in the memory of the coordinator's kernel. */
export const FIELD = {
  /** 1: a range function; 0: an instant selector. */
  isRange: 0,
  /** Range function and window form, or mode of the instant selector. */
  fn: 1,
  form: 2,
  chunkOffsets: 3,
  chunkAddresses: 4,
  chunkLengths: 5,
  chunkMinTimes: 6,
  chunkMaxTimes: 7,
  minTime: 8,
  maxTime: 9,
  range: 10,
  lookback: 11,
  reference: 12,
  referenceStep: 13,
  start: 14,
  step: 15,
  argument1: 16,
  argument2: 17,
  steps: 18,
  series: 19,
  blockRows: 20,
  unitRows: 21,
  /** Units of a block, and of the ring. */
  blockUnits: 22,
  ringUnits: 23,
  /** Rows and steps per kernel call. */
  callRows: 24,
  callSteps: 25,
  /** The ring: rows of whole blocks, and as many presence bytes. */
  ringRows: 26,
  ringPresent: 27,
  /** Columns, work area and windows of helper 0; those of the next one lie `areaBytes` behind. */
  columns: 28,
  columnSamples: 29,
  work: 30,
  windows: 31,
  areaBytes: 32,
} as const;
export type FieldName = keyof typeof FIELD;
const RESULTS_BEGIN = 40;
/** Floats per slot: points found, samples inside the windows, result code of the kernel (negative: an error). */
const RESULT_FIELDS = 3;
const JOB_FLOATS = RESULTS_BEGIN + SLOTS_MAX * RESULT_FIELDS;

const WORDS_BYTES = Math.ceil(((JOBS_BEGIN + JOBS_MAX * JOB_WORDS) * 4) / 64) * 64;

export function createControlBuffer(): SharedArrayBuffer {
  return new SharedArrayBuffer(WORDS_BYTES + JOBS_MAX * JOB_FLOATS * 8);
}

/** Takes one of the free work areas; -1 when there is none. */
export function takeArea(words: Int32Array): number {
  for (;;) {
    const free = Atomics.load(words, CONTROL.areas);
    if (free === 0) return -1;
    const lowest = free & -free;
    if (Atomics.compareExchange(words, CONTROL.areas, free, free ^ lowest) === free) {
      return 31 - Math.clz32(lowest);
    }
  }
}

export function giveArea(words: Int32Array, area: number): void {
  Atomics.or(words, CONTROL.areas, 1 << area);
}

/** What computing a unit gave: points found, samples inside the windows, and 0 or the kernel's (negative) code. */
export interface UnitResult {
  readonly found: number;
  readonly visited: number;
  readonly code: number;
}

/** One job of a control area, as both sides see it. */
export class SharedJob {
  readonly words: Int32Array;
  private readonly floats: Float64Array;
  private readonly wordsAt: number;

  constructor(buffer: SharedArrayBuffer, job: number) {
    this.words = new Int32Array(buffer, 0, WORDS_BYTES / 4);
    this.floats = new Float64Array(buffer, WORDS_BYTES + job * JOB_FLOATS * 8, JOB_FLOATS);
    this.wordsAt = JOBS_BEGIN + job * JOB_WORDS;
  }

  /** Before it is published: writes all fields, with nothing claimed. */
  begin(fields: Readonly<Record<FieldName, number>>, limit: number): void {
    for (const name of Object.keys(FIELD) as FieldName[]) this.floats[FIELD[name]] = fields[name];
    this.words.fill(0, this.wordsAt, this.wordsAt + JOB_WORDS);
    this.words[this.wordsAt + JOB.limit] = limit;
  }

  field(name: FieldName): number {
    return this.floats[FIELD[name]]!;
  }

  setLimit(limit: number): void {
    Atomics.store(this.words, this.wordsAt + JOB.limit, limit);
  }

  /** Takes the next unit that fits the ring; -1 when there is none now. */
  claim(): number {
    const { words, wordsAt } = this;
    for (;;) {
      const unit = Atomics.load(words, wordsAt + JOB.next);
      if (unit >= Atomics.load(words, wordsAt + JOB.limit)) return -1;
      if (Atomics.compareExchange(words, wordsAt + JOB.next, unit, unit + 1) === unit) return unit;
    }
  }

  /** Position of a unit's slot in `words`: unit + 1 stands there when it is done, -(unit + 1) when it was given back. */
  slotOf(unit: number): number {
    return this.wordsAt + SLOTS_BEGIN + (unit % this.field('ringUnits'));
  }

  /** Says what became of a claimed unit (null: it was given back), and wakes the reader if it waits for it. */
  settle(unit: number, result: UnitResult | null): void {
    if (result !== null) {
      const at = this.resultAt(unit);
      this.floats[at] = result.found;
      this.floats[at + 1] = result.visited;
      this.floats[at + 2] = result.code;
    }
    const slot = this.slotOf(unit);
    Atomics.store(this.words, slot, result === null ? -(unit + 1) : unit + 1);
    Atomics.notify(this.words, slot);
  }

  isClaimed(unit: number): boolean {
    return Atomics.load(this.words, this.wordsAt + JOB.next) > unit;
  }

  /** Whether nobody works on a claimed unit any more. */
  isSettled(unit: number): boolean {
    return Math.abs(Atomics.load(this.words, this.slotOf(unit))) === unit + 1;
  }

  /** Of a unit that is done. */
  resultOf(unit: number): UnitResult {
    const at = this.resultAt(unit);
    return { found: this.floats[at]!, visited: this.floats[at + 1]!, code: this.floats[at + 2]! };
  }

  private resultAt(unit: number): number {
    return RESULTS_BEGIN + (unit % this.field('ringUnits')) * RESULT_FIELDS;
  }
}
