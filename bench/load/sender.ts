import { openSync, readSync } from 'node:fs';
import { Agent, request } from 'node:http';
import type { Corpus } from './corpus.js';

/**
 * The sending process: reads finished requests from the corpus and posts them over parallel keep-alive connections.
 * Batch `b` always goes over connection `b % connections`, one request after the other, so the samples of a series
 * arrive in order. Started by `send.ts` with the plan as its first message; answers with one message and ends.
 */

export interface SendPlan {
  readonly url: string;
  readonly corpus: Corpus;
  readonly connections: number;
}

export interface SendResult {
  /** From the first byte sent to the last answer. */
  readonly elapsedMs: number;
  readonly requests: number;
  /** Latencies of requests, ms. */
  readonly p50Ms: number;
  readonly p99Ms: number;
}

const RETRY_PAUSE_MS = 200;
const RETRIES_MAX = 100;

function post(url: URL, agent: Agent, body: Buffer): Promise<{ status: number; text: string }> {
  return new Promise((resolve, reject) => {
    const out = request(
      url,
      {
        method: 'POST',
        agent,
        headers: {
          'content-type': 'application/x-protobuf',
          'content-encoding': 'snappy',
          'x-prometheus-remote-write-version': '0.1.0',
          'content-length': body.length,
        },
      },
      (response) => {
        let text = '';
        response.setEncoding('utf8');
        response.on('data', (part: string) => {
          text += part;
        });
        response.on('end', () => resolve({ status: response.statusCode ?? 0, text }));
        response.on('error', reject);
      },
    );
    out.on('error', reject);
    out.end(body);
  });
}

async function sendOver(connection: number, plan: SendPlan, latencies: number[]): Promise<void> {
  const { corpus } = plan;
  const url = new URL(plan.url);
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  const file = openSync(corpus.file, 'r');
  for (let round = 0; round < corpus.shape.rounds; round++) {
    for (let batch = connection; batch < corpus.requestsPerRound; batch += plan.connections) {
      const at = 2 * (round * corpus.requestsPerRound + batch);
      const body = Buffer.allocUnsafe(corpus.index[at + 1]!);
      readSync(file, body, 0, body.length, corpus.index[at]!);
      const started = performance.now();
      for (let attempt = 0; ; attempt++) {
        const { status, text } = await post(url, agent, body);
        if (status >= 200 && status < 300) break;
        if ((status < 500 && status !== 429) || attempt === RETRIES_MAX) {
          throw new Error(`${plan.url} answered ${status}: ${text.slice(0, 300)}`);
        }
        await new Promise((resolve) => setTimeout(resolve, RETRY_PAUSE_MS));
      }
      latencies.push(performance.now() - started);
    }
  }
  agent.destroy();
}

process.once('message', (plan: SendPlan) => {
  const latencies: number[] = [];
  const started = performance.now();
  const connections = Array.from({ length: plan.connections }, (_, i) => sendOver(i, plan, latencies));
  Promise.all(connections)
    .then(() => {
      const elapsedMs = performance.now() - started;
      latencies.sort((a, b) => a - b);
      const quantile = (q: number) => latencies[Math.floor((latencies.length - 1) * q)] ?? 0;
      const result: SendResult = {
        elapsedMs,
        requests: latencies.length,
        p50Ms: quantile(0.5),
        p99Ms: quantile(0.99),
      };
      process.send?.(result, () => process.exit(0));
    })
    .catch((error: unknown) => {
      process.stderr.write(`${String(error)}\n`);
      process.exit(1);
    });
});
