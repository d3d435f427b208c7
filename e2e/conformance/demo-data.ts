import { Random } from './random.js';
import type { GeneratedSeries } from './series.js';

/** Samples of the shape that the demo service of Prometheus' compliance tester shows, two hours of them. */

export const DEMO_START_MS = 1_700_000_000_000;
const SCRAPE_MS = 15_000;
const SCRAPES = 480;
export const DEMO_END_MS = DEMO_START_MS + SCRAPES * SCRAPE_MS;

const INSTANCES = ['10000', '10001', '10002'].map((port) => `demo.example.com:${port}`);
const MEMORY_TYPES = ['buffers', 'cached', 'free', 'used'];
const CPU_MODES = ['idle', 'system', 'user'];
const BOUNDS = ['0.0001', '0.001', '0.01', '0.05', '0.1', '0.5', '1', '2.5', '5', '+Inf'];
const PATHS = ['/api/bar', '/api/foo', '/api/nonexistent'];

type Labels = Readonly<Record<string, string>>;

/** All series, sorted by their labels. */
export function generateDemo(seed: number): GeneratedSeries[] {
  const random = new Random(seed);
  const all = INSTANCES.flatMap((instance) => instanceSeries(random, { instance, job: 'demo' }));
  const keyOf = ({ labels }: GeneratedSeries): string =>
    Object.entries(labels)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .flat()
      .join('\0');
  return all.sort((a, b) => (keyOf(a) < keyOf(b) ? -1 : 1));
}

function instanceSeries(random: Random, base: Labels): GeneratedSeries[] {
  const phaseMs = random.int(SCRAPE_MS);
  const series = (
    name: string,
    labels: Labels,
    valueAt: (tick: number) => number | null,
  ): GeneratedSeries => ({
    labels: { __name__: name, ...base, ...labels },
    points: Array.from({ length: SCRAPES }, (_, tick) => tick).flatMap((tick) => {
      const value = valueAt(tick);
      return value === null ? [] : [{ timestampMs: DEMO_START_MS + tick * SCRAPE_MS + phaseMs, value }];
    }),
  });
  const running = (pace: () => number): (() => number) => {
    let total = 0;
    return () => {
      if (random.chance(0.005)) total = 0;
      return (total += pace());
    };
  };
  return [
    ...MEMORY_TYPES.map((type) =>
      series('demo_memory_usage_bytes', { type }, () => Math.floor(1e9 + random.normal() * 2e8)),
    ),
    ...CPU_MODES.map((mode) =>
      series(
        'demo_cpu_usage_seconds_total',
        { mode },
        running(() => random.next() * 15),
      ),
    ),
    series('demo_num_cpus', {}, () => 4),
    series('demo_disk_usage_bytes', {}, (tick) => 1e10 + tick * 4e6 + Math.floor(random.next() * 1e6)),
    series('demo_disk_total_bytes', {}, () => 2.6e11),
    series('demo_batch_last_success_timestamp_seconds', {}, (tick) =>
      Math.floor((DEMO_START_MS + (tick - (tick % 8)) * SCRAPE_MS) / 1000),
    ),
    series('demo_intermittent_metric', {}, (tick) => (tick % 40 < 15 ? 1 : null)),
    ...PATHS.flatMap((path) =>
      durations(random, (name, labels, valueAt) => series(name, { path, ...labels }, valueAt)),
    ),
  ];
}

function durations(
  random: Random,
  series: (name: string, labels: Labels, valueAt: (tick: number) => number) => GeneratedSeries,
): GeneratedSeries[] {
  const method = 'GET';
  const counts = BOUNDS.map(() => 0);
  let sum = 0;
  const ticks = Array.from({ length: SCRAPES }, () => {
    for (let n = random.int(20); n > 0; n--) {
      const value = 0.02 * Math.exp(random.normal() * 1.5);
      sum += value;
      BOUNDS.forEach((bound, i) => {
        if (bound === '+Inf' || value <= Number(bound)) counts[i]!++;
      });
    }
    return { buckets: [...counts], sum };
  });
  const name = 'demo_api_request_duration_seconds';
  return [
    ...BOUNDS.map((le, i) => series(`${name}_bucket`, { le, method }, (tick) => ticks[tick]!.buckets[i]!)),
    series(`${name}_sum`, { method }, (tick) => ticks[tick]!.sum),
    series(`${name}_count`, { method }, (tick) => ticks[tick]!.buckets.at(-1)!),
  ];
}
