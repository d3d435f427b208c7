import { type ChildProcess, fork } from 'node:child_process';
import { Agent, type ClientRequest, request } from 'node:http';
import { cpus, totalmem } from 'node:os';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { makeFolder, pause, stopAll } from '../../e2e/processes.js';
import { startVarve, type Varve } from '../../e2e/varve.js';
import { INTERVAL_MS, labelsOf, startOf, usageOf } from '../load/index.js';
import { sendHistory } from './history.js';
import type { PushPhase, PushPlan } from './pusher.js';

/**
 * What heavy queries do to everybody else: the latency of pushes beside them, how soon a cancelled one lets its thread
 * go, what memory the largest takes, and whether the budgets stop an even larger one.
 */

const USAGE = `npm run bench:heavy -- [options]
  --series=N      active series                            (100000)
  --rounds=N      samples per series, 15 s apart           (240)
  --seconds=N     length of each phase of pushes           (30)
  --rate=N        push requests of 2000 samples per second (20)
  --only=a,b      of push, cancel, memory                  (all)
  --args=...      further flags of Varve, separated by blanks`;

const NAMES = Array.from({ length: 10 }, (_, i) => labelsOf(i)[0]![1]);
/** Every series and sample, range functions and sums. */
const HEAVY = NAMES.map((name) => `sum by (cluster) (rate(${name}[5m]))`).join(' + ');
/** Every series and sample once more, by one selector. */
const ALL = 'sum by (cluster) ({__name__=~".+"})';
/** A tenth of the series, all of them in the answer. */
const WIDE = `rate(${NAMES[0]}[5m])`;
/** Sorts each window. */
const SCAN = `max(quantile_over_time(0.9, ${NAMES[1]}[30m]))`;

interface Answer {
  readonly status: number;
  readonly bytes: number;
  readonly elapsedMs: number;
  readonly text: string;
}

const agent = new Agent({ keepAlive: true });

class Bench {
  readonly server: Varve;
  readonly startMs: number;
  readonly endMs: number;

  constructor(server: Varve, startMs: number, endMs: number) {
    this.server = server;
    this.startMs = startMs;
    this.endMs = endMs;
  }

  rangeUrl(query: string, stepS = 15): string {
    const times = { start: String(this.startMs / 1000), end: String(this.endMs / 1000), step: String(stepS) };
    return `${this.server.api}/query_range?${new URLSearchParams({ query, ...times })}`;
  }

  instantUrl(query: string): string {
    return `${this.server.api}/query?${new URLSearchParams({ query, time: String(this.endMs / 1000) })}`;
  }
}

/** Asks, and gives up after `abortMs` if that is not null; an aborted request has status 0. */
function ask(url: string, abortMs: number | null = null): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const startedMs = performance.now();
    let out: ClientRequest;
    const end = (status: number, bytes: number, text: string) =>
      resolve({ status, bytes, elapsedMs: performance.now() - startedMs, text });
    const timer = abortMs === null ? null : setTimeout(() => out.destroy(), abortMs);
    out = request(url, { agent: abortMs === null ? agent : new Agent() }, (response) => {
      let bytes = 0;
      let text = '';
      response.on('data', (part: Buffer) => {
        bytes += part.length;
        if (text.length < 600) text += part.toString('utf8', 0, 600);
      });
      response.on('error', () => end(0, bytes, ''));
      response.on('end', () => {
        if (timer !== null) clearTimeout(timer);
        end(response.statusCode ?? 0, bytes, text);
      });
    });
    out.on('error', (error) => (abortMs === null ? reject(error) : end(0, 0, '')));
    out.end();
  });
}

function phaseOf(child: ChildProcess): Promise<PushPhase> {
  return new Promise((resolve) => {
    child.once('message', (message) => resolve(message as PushPhase));
    child.send('phase');
  });
}

function line(name: string, cells: readonly string[]): void {
  process.stdout.write(`${name.padEnd(44)}${cells.map((cell) => cell.padStart(14)).join('')}\n`);
}

const ms = (value: number) => `${value.toFixed(1)} ms`;
const mb = (bytes: number) => `${(bytes / 1e6).toFixed(0)} MB`;

/** Pushes at a steady pace: alone, then beside one, two and four heavy queries that run all the time. */
async function measurePushes(bench: Bench, plan: PushPlan, phaseMs: number): Promise<void> {
  const child = fork(fileURLToPath(new URL('./pusher.js', import.meta.url)));
  child.send(plan);
  await pause(phaseMs / 3);
  await phaseOf(child);
  line('pushes beside', ['requests', 'p50', 'p99', 'max', 'failures', 'queries']);
  let idleP99Ms = 0;
  for (const [name, queries] of [
    ['nothing', []],
    ['a heavy query', [HEAVY]],
    ['a query of one selector', [ALL]],
    ['two heavy queries', [HEAVY, HEAVY]],
    ['a query with a large answer', [WIDE]],
    ['a scanning and a heavy query', [SCAN, HEAVY]],
    ['nothing, again', []],
  ] as const) {
    let isOver = false;
    let done = 0;
    let longestMs = 0;
    const loops = queries.map(async (query) => {
      while (!isOver) {
        const { status, elapsedMs, text } = await ask(bench.rangeUrl(query));
        if (status !== 200) throw new Error(`${query}: ${status} ${text}`);
        done++;
        longestMs = Math.max(longestMs, elapsedMs);
      }
    });
    await pause(phaseMs);
    const phase = await phaseOf(child);
    isOver = true;
    await Promise.all(loops);
    await phaseOf(child);
    if (idleP99Ms === 0) idleP99Ms = phase.p99Ms;
    const ratio = `${(phase.p99Ms / idleP99Ms).toFixed(2)} x`;
    const queriesText = done === 0 ? '' : `${done}, <= ${(longestMs / 1000).toFixed(1)} s`;
    line(name, [
      String(phase.requests),
      ms(phase.p50Ms),
      `${ms(phase.p99Ms)} ${ratio}`,
      ms(phase.maxMs),
      String(phase.failures),
      queriesText,
    ]);
  }
  child.disconnect();
}

const CANCELS = 12;

/** With one thread the answer to something small that needs it says when the thread was free after a cancelled query. */
async function measureCancels(bench: Bench): Promise<void> {
  // Constants and small queries are answered by the main thread, layouts never.
  const probe = `${bench.server.api}/format_query?query=up`;
  await ask(probe);
  const alone = await ask(probe);
  line('cancelled while', ['after up to', 'free: median', 'free: worst', 'probe alone']);
  for (const [name, url] of [
    ['selecting and evaluating a heavy query', bench.rangeUrl(HEAVY)],
    ['the same with one selector', bench.rangeUrl(ALL)],
    ['scanning', bench.rangeUrl(SCAN)],
    ['making and writing a large answer', bench.rangeUrl(WIDE)],
    ['sorting a large answer', bench.instantUrl('sort({__name__=~".+"})')],
    [
      'counting with a regular expression',
      bench.instantUrl('count({__name__!="",pod=~".*(a|b|c).*x[0-9]+"})'),
    ],
    ['listing series', `${bench.server.api}/series?match[]={__name__!=""}`],
  ] as const) {
    const whole = await ask(url);
    if (whole.status !== 200) throw new Error(`${url}: ${whole.status} ${whole.text}`);
    const freeMs: number[] = [];
    for (let i = 0; i < CANCELS; i++) {
      const abortMs = (whole.elapsedMs * (i + 0.5)) / CANCELS;
      await ask(url, abortMs);
      const { elapsedMs } = await ask(probe);
      freeMs.push(elapsedMs);
    }
    freeMs.sort((a, b) => a - b);
    line(name, [ms(whole.elapsedMs), ms(freeMs[CANCELS >> 1]!), ms(freeMs.at(-1)!), ms(alone.elapsedMs)]);
  }
  // In the queue: the second of two heavy queries leaves before it ran.
  const first = ask(bench.rangeUrl(HEAVY), 1000);
  await pause(20);
  await ask(bench.rangeUrl(HEAVY), 200);
  const leftMs = performance.now();
  let queued = 1;
  while (queued > 0 && performance.now() - leftMs < 5000) {
    const metrics = await (await fetch(`${bench.server.url}/metrics`)).text();
    queued = Number(/^varve_query_queue_length (\d+)/m.exec(metrics)?.[1] ?? 0);
  }
  line('waiting in the queue', ['', '', ms(performance.now() - leftMs)]);
  await first;
}

async function rss(bench: Bench): Promise<number> {
  await pause(300);
  return usageOf(bench.server.pid).rssBytes;
}

/** The largest queries that pass, and those the budgets have to stop. */
async function measureMemory(bench: Bench): Promise<void> {
  line('memory of', ['status', 'time', 'answer', 'RSS before', 'RSS peak', 'RSS after']);
  const tenTimes = Array.from({ length: 10 }, (_, i) => `(${HEAVY.replaceAll('5m', `${5 + i}m`)})`).join(
    ' + ',
  );
  for (const [name, url] of [
    ['1 + 1', bench.instantUrl('1+1')],
    ['a heavy query', bench.rangeUrl(HEAVY)],
    ['a query of one selector', bench.rangeUrl(ALL)],
    ['a query with a large answer', bench.rangeUrl(WIDE)],
    ['all last values', bench.instantUrl('{__name__=~".+"}')],
    ['a full answer, one step per sample', bench.rangeUrl('{__name__=~".+"}')],
    ['ten heavy queries in one', bench.rangeUrl(tenTimes)],
    ['a full answer, ten steps per sample', bench.rangeUrl('{__name__=~".+"}', 1.5)],
    ['every raw sample', bench.instantUrl('{__name__=~".+"}[1h]')],
    ['1 + 1', bench.instantUrl('1+1')],
  ] as const) {
    const before = await rss(bench);
    let peak = before;
    const timer = setInterval(() => {
      peak = Math.max(peak, usageOf(bench.server.pid).rssBytes);
    }, 20);
    const answer = await ask(url);
    clearInterval(timer);
    const after = await rss(bench);
    line(name, [
      String(answer.status),
      ms(answer.elapsedMs),
      mb(answer.bytes),
      mb(before),
      mb(peak),
      mb(after),
    ]);
    if (answer.status !== 200) process.stdout.write(`    ${answer.text.slice(0, 300)}\n`);
  }
  await pause(5000);
  line('after five idle seconds', ['', '', '', '', '', mb(await rss(bench))]);
}

const { values } = parseArgs({
  options: {
    series: { type: 'string', default: '100000' },
    rounds: { type: 'string', default: '240' },
    seconds: { type: 'string', default: '30' },
    rate: { type: 'string', default: '20' },
    only: { type: 'string', default: 'push,cancel,memory' },
    args: { type: 'string', default: '' },
    help: { type: 'boolean', default: false },
  },
});
if (values.help) {
  process.stdout.write(`${USAGE}\n`);
  process.exit(0);
}
const [series, rounds] = [Number(values.series), Number(values.rounds)];
const parts = values.only.split(',');
const machine = `${cpus().length} × ${cpus()[0]?.model ?? '?'}, ${(totalmem() / 1e9).toFixed(0)} GB, Node ${process.version}`;
process.stdout.write(`${machine}; ${series} series, ${rounds} samples each\n`);
/** The pushes of all phases go on from here and must not reach the future. */
const startMs = startOf(rounds, Date.now() - 1_800_000);
const endMs = startMs + (rounds - 1) * INTERVAL_MS;
try {
  const folder = makeFolder('heavy');
  const extra = values.args.split(' ').filter((arg) => arg !== '');
  let server = await startVarve({ folder, args: extra });
  const loadedMs = performance.now();
  await sendHistory(server.pushUrl, series, rounds, startMs);
  process.stderr.write(`loaded in ${((performance.now() - loadedMs) / 1000).toFixed(0)} s\n`);
  if (parts.includes('memory')) await measureMemory(new Bench(server, startMs, endMs));
  if (parts.includes('push')) {
    const plan = { url: server.pushUrl, series, pastRounds: rounds, startMs };
    const pace = { ...plan, requestsPerSecond: Number(values.rate) };
    await measurePushes(new Bench(server, startMs, endMs), pace, Number(values.seconds) * 1000);
  }
  if (parts.includes('cancel')) {
    await server.stop();
    server = await startVarve({ folder, args: [...extra, '--query-concurrency=1'] });
    await measureCancels(new Bench(server, startMs, endMs));
  }
  agent.destroy();
} finally {
  await stopAll();
}
