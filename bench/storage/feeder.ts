import { Agent, request } from 'node:http';
import { HistoryBody } from './body.js';

/**
 * The feeding process: makes the samples of a span of rounds and posts them to one or several programs, when its parent
 * says so. Started by `feed.ts`: the first message is the plan, each further one a span; each span is answered.
 */

export interface FeedPlan {
  /** Every request goes to all of them. */
  readonly urls: readonly string[];
  readonly series: number;
  readonly startMs: number;
  readonly intervalMs: number;
}

export interface FeedSpan {
  readonly firstRound: number;
  readonly roundCount: number;
}

export interface FeedResult {
  /** Sent to each. */
  readonly samples: number;
  readonly elapsedMs: number;
  readonly cpuMs: number;
}

const SERIES_PER_REQUEST = 100;
/** Scrapes of one request: less than the window for late samples, as series are sent one after the other. */
const SPAN_PER_REQUEST_MS = 1_200_000;
const CONNECTIONS = 3;
const RETRY_PAUSE_MS = 100;
const RETRIES_MAX = 600;

const agent = new Agent({ keepAlive: true });
const HEADERS = {
  'content-type': 'application/x-protobuf',
  'content-encoding': 'snappy',
  'x-prometheus-remote-write-version': '0.1.0',
};

function post(url: string, body: Uint8Array): Promise<{ status: number; text: string }> {
  return new Promise((resolve, reject) => {
    const headers = { ...HEADERS, 'content-length': body.length };
    const out = request(url, { method: 'POST', agent, headers }, (response) => {
      let text = '';
      response.setEncoding('utf8');
      response.on('data', (part: string) => {
        text += part;
      });
      response.on('end', () => resolve({ status: response.statusCode ?? 0, text }));
      response.on('error', reject);
    });
    out.on('error', reject);
    out.end(body);
  });
}

async function deliver(url: string, body: Uint8Array): Promise<void> {
  for (let attempt = 0; ; attempt++) {
    const { status, text } = await post(url, body);
    if (status >= 200 && status < 300) return;
    if ((status !== 503 && status !== 429) || attempt === RETRIES_MAX) {
      throw new Error(`${url} answered ${status}: ${text.slice(0, 300)}`);
    }
    await new Promise((resolve) => setTimeout(resolve, RETRY_PAUSE_MS));
  }
}

class Feeder {
  readonly #plan: FeedPlan;
  readonly #roundsMax: number;
  readonly #bodies: HistoryBody[] = [];

  constructor(plan: FeedPlan) {
    this.#plan = plan;
    this.#roundsMax = Math.max(1, Math.floor(SPAN_PER_REQUEST_MS / plan.intervalMs));
    for (let first = 0; first < plan.series; first += SERIES_PER_REQUEST) {
      const seriesCount = Math.min(SERIES_PER_REQUEST, plan.series - first);
      this.#bodies.push(
        new HistoryBody({ ...plan, firstSeries: first, seriesCount, roundsMax: this.#roundsMax }),
      );
    }
  }

  /** All series up to a time, then all up to the next: nothing comes later than the window allows. */
  async feed({ firstRound, roundCount }: FeedSpan): Promise<number> {
    let samples = 0;
    for (let round = firstRound; round < firstRound + roundCount; round += this.#roundsMax) {
      const count = Math.min(this.#roundsMax, firstRound + roundCount - round);
      let next = 0;
      const lane = async (): Promise<void> => {
        while (next < this.#bodies.length) {
          const body = this.#bodies[next++]!;
          const bytes = body.fill(round, count);
          samples += body.samples;
          if (bytes.length > 0) await Promise.all(this.#plan.urls.map((url) => deliver(url, bytes)));
        }
      };
      await Promise.all(Array.from({ length: CONNECTIONS }, lane));
    }
    return samples;
  }
}

let feeder: Feeder | null = null;
process.on('message', (message: FeedPlan | FeedSpan) => {
  if ('urls' in message) {
    feeder = new Feeder(message);
    return;
  }
  const startedMs = performance.now();
  const cpu = process.cpuUsage();
  feeder!
    .feed(message)
    .then((samples) => {
      const { user, system } = process.cpuUsage(cpu);
      const result: FeedResult = {
        samples,
        elapsedMs: performance.now() - startedMs,
        cpuMs: (user + system) / 1000,
      };
      process.send?.(result);
    })
    .catch((error: unknown) => {
      process.stderr.write(`${String(error)}\n`);
      process.exit(1);
    });
});
process.on('disconnect', () => process.exit(0));
