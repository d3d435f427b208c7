import type { Clock } from '../clock/index.js';
import type { Job } from './job.js';
import { resolutionName } from './metrics.js';

export type JobPhase = 'waiting' | 'downloading' | 'merging' | 'uploading' | 'finishing';
export type JobState = 'planned' | 'running' | 'done' | 'failed';

/** A job as the admin page shows it. Times are ms since the epoch, or null. */
export interface JobView {
  readonly tenant: string;
  readonly key: string;
  readonly kind: Job['kind'];
  readonly resolution: string;
  readonly rangeStart: number;
  readonly rangeEnd: number;
  readonly blocks: readonly string[];
  readonly samples: number;
  readonly state: JobState;
  readonly phase: JobPhase;
  /** Done part, 0 to 1. */
  readonly progress: number;
  readonly startedMs: number | null;
  readonly endedMs: number | null;
  /** Time left by its own pace; null when that can't be told yet. */
  readonly etaSeconds: number | null;
  readonly result: string;
  readonly error: string;
}

/** Share of a job's time that its phases take, by experience on a local bucket; the order is that of the work. */
const SHARES: Readonly<Record<JobPhase, readonly [from: number, width: number]>> = {
  waiting: [0, 0],
  downloading: [0, 0.2],
  merging: [0.2, 0.6],
  uploading: [0.8, 0.18],
  finishing: [0.98, 0.02],
};

const RECENT_MAX = 200;
/** Weight of the last job in the pace that the estimate goes by. */
const PACE_WEIGHT = 0.3;

/** A job that runs: told by the runner how far it is. */
export class RunningJob {
  readonly tenant: string;
  readonly job: Job;
  readonly startedMs: number;
  phase: JobPhase = 'waiting';
  #done = 0;

  constructor(tenant: string, job: Job, startedMs: number) {
    this.tenant = tenant;
    this.job = job;
    this.startedMs = startedMs;
  }

  /** @param fraction of the phase */
  advance(phase: JobPhase, fraction: number): void {
    this.phase = phase;
    const [from, width] = SHARES[phase];
    this.#done = from + width * Math.min(1, fraction);
  }

  get progress(): number {
    return this.#done;
  }
}

/** Keeps the jobs of this process for people to look at, and says when all will be done. */
export class JobBoard {
  readonly #clock: Clock;
  readonly #concurrency: number;
  #planned: readonly { readonly tenant: string; readonly job: Job }[] = [];
  readonly #running = new Set<RunningJob>();
  readonly #recent: JobView[] = [];
  /** Samples per second of one job. */
  #pace = 0;

  constructor(clock: Clock, concurrency: number) {
    this.#clock = clock;
    this.#concurrency = concurrency;
  }

  setPlanned(planned: readonly { readonly tenant: string; readonly job: Job }[]): void {
    this.#planned = planned;
  }

  begin(tenant: string, job: Job): RunningJob {
    const running = new RunningJob(tenant, job, this.#clock.nowMs());
    this.#running.add(running);
    return running;
  }

  /** @param outcome name of the new block ('' when there was nothing to make), or an error; null when it was not to be done */
  end(running: RunningJob, outcome: { readonly result: string } | { readonly error: string } | null): void {
    this.#running.delete(running);
    if (outcome === null) return;
    const endedMs = this.#clock.nowMs();
    const seconds = (endedMs - running.startedMs) / 1000;
    if ('result' in outcome && seconds > 0) {
      const pace = samplesOf(running.job) / seconds;
      this.#pace = this.#pace === 0 ? pace : this.#pace + (pace - this.#pace) * PACE_WEIGHT;
    }
    const ended = {
      ...this.#view(running),
      endedMs,
      etaSeconds: null,
      ...('result' in outcome
        ? { state: 'done' as const, progress: 1, result: outcome.result }
        : { state: 'failed' as const, error: outcome.error }),
    };
    this.#recent.unshift(ended);
    if (this.#recent.length > RECENT_MAX) this.#recent.pop();
  }

  /** Running ones, then those to come, then the last ones that ended. */
  jobs(): JobView[] {
    return [
      ...[...this.#running].map((running) => this.#view(running)),
      ...this.#waiting().map(({ tenant, job }) => plannedView(tenant, job)),
      ...this.#recent,
    ];
  }

  /** How many wait and run, by kind. */
  count(kind: Job['kind'], state: 'planned' | 'running'): number {
    const jobs = state === 'running' ? [...this.#running] : this.#waiting();
    return jobs.filter(({ job }) => job.kind === kind).length;
  }

  /** Time until everything known is done; null before the first job has shown the pace. */
  etaSeconds(): number | null {
    const waiting = this.#waiting();
    if (waiting.length === 0 && this.#running.size === 0) return 0;
    if (this.#pace === 0) return null;
    let samples = 0;
    for (const { job } of waiting) samples += samplesOf(job);
    for (const running of this.#running) samples += samplesOf(running.job) * (1 - running.progress);
    return samples / this.#pace / this.#concurrency;
  }

  #waiting(): readonly { readonly tenant: string; readonly job: Job }[] {
    const started = new Set([...this.#running].map(({ tenant, job }) => `${tenant}/${job.key}`));
    return this.#planned.filter(({ tenant, job }) => !started.has(`${tenant}/${job.key}`));
  }

  #view(running: RunningJob): JobView {
    const { progress, startedMs, phase } = running;
    const elapsed = (this.#clock.nowMs() - startedMs) / 1000;
    return {
      ...plannedView(running.tenant, running.job),
      state: 'running',
      phase,
      progress,
      startedMs,
      etaSeconds: progress > 0.02 ? Math.round((elapsed / progress) * (1 - progress)) : null,
    };
  }
}

function plannedView(tenant: string, job: Job): JobView {
  return {
    tenant,
    key: job.key,
    kind: job.kind,
    resolution: resolutionName(job.resolution),
    rangeStart: job.rangeStart,
    rangeEnd: job.rangeEnd,
    blocks: job.blocks.map(({ ulid }) => ulid),
    samples: samplesOf(job),
    state: 'planned',
    phase: 'waiting',
    progress: 0,
    startedMs: null,
    endedMs: null,
    etaSeconds: null,
    result: '',
    error: '',
  };
}

function samplesOf(job: Job): number {
  return job.blocks.reduce((sum, { facts }) => sum + facts.samples, 0);
}
