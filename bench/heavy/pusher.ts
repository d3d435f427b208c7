import { Agent, request } from 'node:http';
import { compress } from '../../e2e/wire.js';
import { INTERVAL_MS, RequestBody, SAMPLES_PER_REQUEST } from '../load/index.js';

/**
 * The pushing process: sends one request after the other at a steady pace, round after round of all series, until its
 * parent closes the channel. Each message from the parent ends a phase; the answer is the phase's latencies.
 */

export interface PushPlan {
  readonly url: string;
  readonly series: number;
  /** Rounds that the series have already, for their values to go on. */
  readonly pastRounds: number;
  readonly startMs: number;
  readonly requestsPerSecond: number;
}

export interface PushPhase {
  readonly requests: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
  /** Answers other than 200 and 204. */
  readonly failures: number;
}

async function run(plan: PushPlan): Promise<void> {
  const agent = new Agent({ keepAlive: true, maxSockets: 4 });
  const url = new URL(plan.url);
  const bodies: RequestBody[] = [];
  for (let first = 0; first < plan.series; first += SAMPLES_PER_REQUEST) {
    bodies.push(new RequestBody(first, Math.min(SAMPLES_PER_REQUEST, plan.series - first)));
  }
  let latencies: number[] = [];
  let failures = 0;
  process.on('message', () => {
    latencies.sort((a, b) => a - b);
    const at = (q: number) => latencies[Math.floor((latencies.length - 1) * q)] ?? 0;
    const phase: PushPhase = {
      requests: latencies.length,
      p50Ms: at(0.5),
      p99Ms: at(0.99),
      maxMs: at(1),
      failures,
    };
    latencies = [];
    failures = 0;
    process.send?.(phase);
  });
  const gapMs = 1000 / plan.requestsPerSecond;
  let dueMs = performance.now();
  for (let sent = 0; process.connected; sent++) {
    const body = bodies[sent % bodies.length]!;
    const round = plan.pastRounds + Math.floor(sent / bodies.length);
    body.fill(plan.startMs + round * INTERVAL_MS);
    const compressed = compress(body.bytes);
    dueMs += gapMs;
    await new Promise((resolve) => setTimeout(resolve, Math.max(0, dueMs - performance.now())));
    const startedMs = performance.now();
    // The next request does not wait for this answer: a slow server must not slow the pace down.
    void post(url, agent, compressed).then((isGood) => {
      latencies.push(performance.now() - startedMs);
      if (!isGood) failures++;
    });
  }
  agent.destroy();
}

function post(url: URL, agent: Agent, body: Uint8Array): Promise<boolean> {
  return new Promise((resolve) => {
    const out = request(
      url,
      {
        method: 'POST',
        agent,
        headers: {
          'content-type': 'application/x-protobuf',
          'content-encoding': 'snappy',
          'content-length': body.length,
        },
      },
      (response) => {
        response.resume();
        response.on('end', () => resolve((response.statusCode ?? 0) < 300));
      },
    );
    out.on('error', () => resolve(false));
    out.end(body);
  });
}

process.once('message', (plan: PushPlan) => void run(plan));
process.once('disconnect', () => process.exit(0));
