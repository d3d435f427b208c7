import { Agent, request } from 'node:http';
import { rawSamples } from './answers.js';
import { pause } from './processes.js';
import { compress, encodeRequest, PUSH_HEADERS } from './wire.js';

/**
 * A load whose every sample can be recomputed: sample `n` of a series has a time and a value that follow from the
 * series and `n`. Each connection owns its series and sends their samples in order; what was acknowledged is noted when
 * the 2xx has arrived, what was sent and never answered is noted as uncertain: it may be there or not.
 */

const SERIES_PER_CONNECTION = 20;
const SAMPLES_PER_SEND = 10;
const SAMPLE_STEP_MS = 100;
/** Rest between two requests of a connection, so that the load lasts and can be verified sample by sample. */
const PAUSE_MS = 10;

export class CrashConnection {
  readonly id: number;
  readonly startMs: number;
  /** Request numbers. */
  readonly acknowledged = new Set<number>();
  readonly uncertain = new Set<number>();
  private next = 0;

  constructor(id: number, startMs: number) {
    this.id = id;
    this.startMs = startMs;
  }

  /** Sends until the signal or the first failure of the connection; a refusal (4xx) is a failure of the test. */
  async run(url: string, signal: AbortSignal): Promise<void> {
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    try {
      while (!signal.aborted) {
        const number = this.next++;
        this.uncertain.add(number);
        const status = await post(new URL(url), agent, this.body(number));
        if (status === 0) return;
        if (status < 200 || status > 299) throw new Error(`request ${number} was answered with ${status}`);
        this.uncertain.delete(number);
        this.acknowledged.add(number);
        await pause(PAUSE_MS);
      }
    } finally {
      agent.destroy();
    }
  }

  private body(number: number): Uint8Array {
    const series = Array.from({ length: SERIES_PER_CONNECTION }, (_, s) => ({
      labels: [
        ['__name__', 'crash_total'],
        ['connection', String(this.id)],
        ['series', String(s)],
      ] as [string, string][],
      samples: Array.from({ length: SAMPLES_PER_SEND }, (_, i) => {
        const n = number * SAMPLES_PER_SEND + i;
        return { value: sampleValue(this.id, s, n), timestampMs: this.startMs + n * SAMPLE_STEP_MS };
      }),
    }));
    return compress(encodeRequest(series));
  }

  get acknowledgedSamples(): number {
    return this.acknowledged.size * SERIES_PER_CONNECTION * SAMPLES_PER_SEND;
  }

  /** Time of the newest sample that was sent. */
  get endMs(): number {
    return this.startMs + this.next * SAMPLES_PER_SEND * SAMPLE_STEP_MS;
  }

  /** Reads all series back; says what is lost, wrong or was never sent. Empty when all is well. */
  async verify(api: string): Promise<string[]> {
    const problems: string[] = [];
    const rangeMs = this.endMs - this.startMs + 1000;
    const stored = await rawSamples(api, `crash_total{connection="${this.id}"}`, this.endMs, rangeMs);
    if (stored.size > SERIES_PER_CONNECTION) problems.push(`${stored.size} series are too many`);
    for (let s = 0; s < SERIES_PER_CONNECTION; s++) {
      const key = JSON.stringify([
        ['__name__', 'crash_total'],
        ['connection', String(this.id)],
        ['series', String(s)],
      ]);
      const seen = new Set<number>();
      let previousMs = Number.NEGATIVE_INFINITY;
      for (const [t, v] of stored.get(key) ?? []) {
        const timeMs = Math.round(t * 1000);
        const n = (timeMs - this.startMs) / SAMPLE_STEP_MS;
        const number = Math.floor(n / SAMPLES_PER_SEND);
        if (timeMs <= previousMs) problems.push(`${key}: ${timeMs} comes after ${previousMs}`);
        previousMs = timeMs;
        if (!Number.isInteger(n) || !(this.acknowledged.has(number) || this.uncertain.has(number))) {
          problems.push(`${key}: a sample at ${timeMs} was never sent`);
        } else if (Number(v) !== sampleValue(this.id, s, n)) {
          problems.push(`${key}: ${v} at ${timeMs} instead of ${sampleValue(this.id, s, n)}`);
        }
        seen.add(n);
      }
      let lost = 0;
      for (const number of this.acknowledged) {
        for (let i = 0; i < SAMPLES_PER_SEND; i++) if (!seen.has(number * SAMPLES_PER_SEND + i)) lost++;
      }
      if (lost > 0) problems.push(`${key}: ${lost} acknowledged samples are lost`);
    }
    return problems.slice(0, 20);
  }
}

/** Half whole numbers that grow, half fractions with a full mantissa. */
function sampleValue(connection: number, series: number, n: number): number {
  return series % 2 === 0 ? n * 3 + connection : Math.sqrt(n * 1000 + series * 7 + connection + 2);
}

/** The status of the answer, or 0 when the connection failed. */
function post(url: URL, agent: Agent, body: Uint8Array): Promise<number> {
  return new Promise((resolve) => {
    const out = request(
      url,
      { method: 'POST', agent, headers: { ...PUSH_HEADERS, 'content-length': body.length } },
      (response) => {
        response.resume();
        response.on('end', () => resolve(response.statusCode ?? 0));
        response.on('error', () => resolve(0));
      },
    );
    out.on('error', () => resolve(0));
    out.end(body);
  });
}
