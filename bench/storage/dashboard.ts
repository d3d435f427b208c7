import type { Varve } from '../../e2e/varve.js';
import { type Answer, ask, type Mode } from './ask.js';
import { compare, type Difference } from './difference.js';
import type { Setup } from './setup.js';
import type { Store } from './store.js';

/** The panels of the dashboard, over all series of a metric. */
const PANELS: Readonly<Record<string, string>> = {
  rate: 'sum by (job) (rate(node_cpu_seconds_total[1h]))',
  increase: 'sum by (namespace) (increase(node_network_receive_bytes_total[1h]))',
  avg_over_time: 'avg by (namespace) (avg_over_time(node_load1[1h]))',
  sum_over_time: 'sum by (cluster) (sum_over_time(container_memory_working_set_bytes[1h]))',
  min_over_time: 'min by (cluster) (min_over_time(node_memory_MemAvailable_bytes[1h]))',
  max_over_time: 'max by (namespace) (max_over_time(node_hwmon_temp_celsius[1h]))',
  count_over_time: 'sum by (job) (count_over_time(kube_pod_status_phase[1h]))',
  gauge: 'avg by (namespace) (node_load1)',
};

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
}

/** Each panel alone, each time from a process that has just been started. */
export async function measurePanels(store: Store, setup: Setup, prefix: string): Promise<Panel[]> {
  const panels: Panel[] = [];
  for (const [name, query] of Object.entries(PANELS)) {
    const [auto, autoAnswer] = await measurePanel(store, setup, prefix, { name, query, mode: 'auto' });
    const [raw, rawAnswer] = await measurePanel(store, setup, prefix, { name, query, mode: '0s' });
    panels.push({ name, auto, raw, difference: compare(autoAnswer, rawAnswer) });
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
    const warm = [await load(), await load(), await load()];
    return { mode, ...cold, coldMs: cold.ms, warmMs: median(warm.map(({ ms }) => ms)) };
  } finally {
    await varve.stop();
  }
}

async function loadAll(varve: Varve, setup: Setup, mode: Mode) {
  const startedMs = performance.now();
  const answers = await Promise.all(Object.values(PANELS).map((query) => ask(varve, setup, query, mode)));
  return {
    ms: performance.now() - startedMs,
    requests: answers.reduce((sum, { requests }) => sum + requests, 0),
    bytes: answers.reduce((sum, { bytes }) => sum + bytes, 0),
  };
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[values.length >> 1]!;
}
