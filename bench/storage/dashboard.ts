import type { Varve } from '../../e2e/varve.js';
import { type Answer, ask, type Mode } from './ask.js';
import { compare, type Difference } from './difference.js';
import type { Setup } from './setup.js';
import type { Store } from './store.js';

/**
 * What a panel shows: windows of values that move, the same of values that mostly stand still (which take hardly more
 * room raw than downsampled), or single values, for which a finer level is read.
 */
export type PanelKind = 'moving' | 'still' | 'plain';

/** The panels of moving and of plain values are the dashboard. */
const PANELS: readonly (readonly [name: string, kind: PanelKind, query: string])[] = [
  ['rate', 'moving', 'sum by (job) (rate(node_cpu_seconds_total[1h]))'],
  ['increase', 'moving', 'sum by (namespace) (increase(node_network_receive_bytes_total[1h]))'],
  ['avg_over_time', 'moving', 'avg by (namespace) (avg_over_time(node_load1[1h]))'],
  ['sum_over_time', 'moving', 'sum by (cluster) (sum_over_time(node_load1[1h]))'],
  ['min_over_time', 'moving', 'min by (cluster) (min_over_time(node_load1[1h]))'],
  ['max_over_time', 'moving', 'max by (namespace) (max_over_time(node_load1[1h]))'],
  ['count_over_time', 'moving', 'sum by (job) (count_over_time(node_load1[1h]))'],
  ['plain gauge', 'plain', 'avg by (namespace) (node_load1)'],
  ['min, memory', 'still', 'min by (cluster) (min_over_time(node_memory_MemAvailable_bytes[1h]))'],
  ['max, degrees', 'still', 'max by (namespace) (max_over_time(node_hwmon_temp_celsius[1h]))'],
  ['sum, states', 'still', 'sum by (job) (sum_over_time(kube_pod_status_phase[1h]))'],
];

/** Runs with warm caches; the median counts. */
const WARM_RUNS = 5;

export interface PanelFigures {
  readonly name: string;
  readonly query: string;
  readonly mode: Mode;
  readonly coldMs: number;
  readonly warmMs: number;
  /** Of the cold run. */
  readonly requests: number;
  readonly bytes: number;
  readonly warmRequests: number;
  readonly warmBytes: number;
  readonly infos: readonly string[];
}

export interface Panel {
  readonly name: string;
  readonly kind: PanelKind;
  readonly auto: PanelFigures;
  readonly raw: PanelFigures;
  readonly difference: Difference;
}

/** All panels at once, as a browser loads them. */
export interface DashboardFigures {
  readonly mode: Mode;
  readonly coldMs: number;
  readonly warmMs: number;
  readonly requests: number;
  readonly bytes: number;
  /** Bytes of the cold run by what they were: parts of indexes, chunks. */
  readonly bytesByKind: Readonly<Record<string, number>>;
}

/** Each panel alone, each time from a process that has just been started. */
export async function measurePanels(store: Store, setup: Setup, prefix: string): Promise<Panel[]> {
  const panels: Panel[] = [];
  for (const [name, kind, query] of PANELS) {
    const [auto, autoAnswer] = await measurePanel(store, setup, prefix, { name, query, mode: 'auto' });
    const [raw, rawAnswer] = await measurePanel(store, setup, prefix, { name, query, mode: '0s' });
    panels.push({ name, kind, auto, raw, difference: compare(autoAnswer, rawAnswer) });
  }
  return panels;
}

async function measurePanel(
  store: Store,
  setup: Setup,
  prefix: string,
  panel: Pick<PanelFigures, 'name' | 'query' | 'mode'>,
): Promise<[PanelFigures, Answer]> {
  const varve = await store.startAsking(prefix);
  try {
    const cold = await ask(varve, setup, panel.query, panel.mode);
    const warm: Answer[] = [];
    for (let i = 0; i < WARM_RUNS; i++) warm.push(await ask(varve, setup, panel.query, panel.mode));
    const last = warm.at(-1)!;
    const figures = {
      ...panel,
      coldMs: cold.ms,
      warmMs: median(warm.map(({ ms }) => ms)),
      requests: cold.requests,
      bytes: cold.bytes,
      warmRequests: last.requests,
      warmBytes: last.bytes,
      infos: cold.infos,
    };
    return [figures, cold];
  } finally {
    await varve.stop();
  }
}

/** The dashboard as a whole, from a process that has just been started. */
export async function measureDashboard(
  store: Store,
  setup: Setup,
  prefix: string,
  mode: Mode,
): Promise<DashboardFigures> {
  const varve = await store.startAsking(prefix);
  try {
    const load = () => loadAll(varve, setup, mode);
    const cold = await load();
    const bytesByKind = await fetchedBytes(varve);
    const warm = [await load(), await load(), await load()];
    return { mode, ...cold, bytesByKind, coldMs: cold.ms, warmMs: median(warm.map(({ ms }) => ms)) };
  } finally {
    await varve.stop();
  }
}

async function loadAll(varve: Varve, setup: Setup, mode: Mode) {
  const startedMs = performance.now();
  const shown = PANELS.filter(([, kind]) => kind !== 'still');
  const answers = await Promise.all(shown.map(([, , query]) => ask(varve, setup, query, mode)));
  return {
    ms: performance.now() - startedMs,
    requests: answers.reduce((sum, { requests }) => sum + requests, 0),
    bytes: answers.reduce((sum, { bytes }) => sum + bytes, 0),
  };
}

/** How much less the panels of a kind read than from raw samples, each from a process that has just been started. */
export function bytesRatio(panels: readonly Panel[], kind: PanelKind): number {
  const own = panels.filter((panel) => panel.kind === kind);
  const sum = (mode: 'auto' | 'raw') => own.reduce((total, panel) => total + panel[mode].bytes, 0);
  return sum('raw') / sum('auto');
}

async function fetchedBytes(varve: Varve): Promise<Record<string, number>> {
  const text = await (await fetch(`${varve.url}/metrics`)).text();
  const found = text.matchAll(/^varve_querier_blocks_fetched_bytes_total\{kind="([^"]+)"\} (\S+)$/gm);
  return Object.fromEntries([...found].map(([, kind, bytes]) => [kind!, Number(bytes)]));
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[values.length >> 1]!;
}
