import { instantiate, type QueryExports } from '../../kernel/index.js';
import { CONTROL, giveArea, JOBS_MAX, SharedJob, takeArea, type UnitResult } from './parallel-layout.js';
import { computeUnit, placeOf } from './parallel-unit.js';

/** An invitation to help with a query that another thread coordinates; plain data and shared memory. */
export interface HelpRequest {
  /** Tells the coordinating threads of a process apart. */
  readonly coordinator: number;
  /** Number of the memory and the control area: another number, others. */
  readonly memoryNumber: number;
  /** Of the coordinator's kernel. */
  readonly memory: WebAssembly.Memory;
  readonly control: SharedArrayBuffer;
  readonly session: number;
}

/** Between two looks whether the thread is wanted for a query of its own. */
const WAIT_MS = 1;
/** A helper that finds nothing to do for so long goes back to its event loop. */
const IDLE_MS = 20;
/** Coordinators for whose memories a helper keeps instances. */
const KEPT_MAX = 64;
/** A larger memory is let go at the end of the session: its owner is about to replace it. */
const KEPT_BYTES_MAX = 256 * 1024 * 1024;

interface Instance {
  readonly memoryNumber: number;
  readonly memory: WebAssembly.Memory;
  readonly functions: QueryExports;
  readonly words: Int32Array;
  readonly jobs: readonly SharedJob[];
}

/** The helping side of parallel queries, in a query thread that has no query of its own. */
export class QueryHelper {
  private readonly instances = new Map<number, Instance>();
  private readonly onDrop: (byteCount: number) => void;

  /** @param onDrop told of memory that nobody may hold any more: V8 counts it as little, and collects it late */
  constructor(onDrop: (byteCount: number) => void = () => {}) {
    this.onDrop = onDrop;
  }

  /**
   * Works on the query of another thread until it has ended. Returns soon after `isWanted` says so, when there is
   * nothing to do for a while, and at once when that query has ended already.
   */
  assist(request: HelpRequest, isWanted: () => boolean): void {
    const instance = this.instanceFor(request);
    const { words, memory } = instance;
    // First in, then look: the coordinator closes the session first and then waits until all are out.
    Atomics.add(words, CONTROL.active, 1);
    try {
      if (Atomics.load(words, CONTROL.session) !== request.session) return;
      const area = takeArea(words);
      if (area < 0) return;
      try {
        serve(instance, area, request.session, isWanted);
      } finally {
        giveArea(words, area);
      }
    } finally {
      Atomics.sub(words, CONTROL.active, 1);
      Atomics.notify(words, CONTROL.active);
    }
    if (memory.buffer.byteLength > KEPT_BYTES_MAX) this.drop(request.coordinator);
  }

  private drop(coordinator: number): void {
    const byteCount = this.instances.get(coordinator)?.memory.buffer.byteLength ?? 0;
    if (this.instances.delete(coordinator)) this.onDrop(byteCount);
  }

  private instanceFor({ coordinator, memoryNumber, memory, control }: HelpRequest): Instance {
    const known = this.instances.get(coordinator);
    if (known?.memoryNumber === memoryNumber) return known;
    this.drop(coordinator);
    for (const oldest of this.instances.keys()) {
      if (this.instances.size < KEPT_MAX) break;
      this.drop(oldest);
    }
    const jobs = Array.from({ length: JOBS_MAX }, (_, job) => new SharedJob(control, job));
    const functions = instantiate<QueryExports>(memory);
    const instance = { memoryNumber, memory, functions, words: jobs[0]!.words, jobs };
    this.instances.set(coordinator, instance);
    return instance;
  }
}

function serve(instance: Instance, area: number, session: number, isWanted: () => boolean): void {
  const { words, jobs, functions } = instance;
  const goesOn = (): boolean => Atomics.load(words, CONTROL.session) === session && !isWanted();
  let idleSinceMs = -1;
  while (goesOn()) {
    // Read before looking for work: what comes afterwards changes it.
    const bell = Atomics.load(words, CONTROL.bell);
    const jobCount = Atomics.load(words, CONTROL.jobCount);
    let hasWorked = false;
    for (let i = 0; i < jobCount && !hasWorked; i++) {
      hasWorked = workOn(jobs[i]!, area, functions, goesOn);
    }
    if (hasWorked) {
      idleSinceMs = -1;
      continue;
    }
    const nowMs = performance.now();
    if (idleSinceMs < 0) idleSinceMs = nowMs;
    else if (nowMs - idleSinceMs > IDLE_MS) return;
    Atomics.wait(words, CONTROL.bell, bell, WAIT_MS);
  }
}

/** Does a unit of a job, with the work areas of this helper; false when there is none. */
function workOn(job: SharedJob, area: number, functions: QueryExports, goesOn: () => boolean): boolean {
  const unit = job.claim();
  if (unit < 0) return false;
  let result: UnitResult | null = null;
  try {
    const offset = area * job.field('areaBytes');
    functions.queryColumns(job.field('columns') + offset, job.field('columnSamples'));
    const areas = { work: job.field('work') + offset, windows: job.field('windows') + offset };
    result = computeUnit(functions, job, placeOf(job, unit), areas, goesOn);
  } finally {
    // What was left unfinished the coordinator does itself.
    job.settle(unit, result);
  }
  return true;
}
