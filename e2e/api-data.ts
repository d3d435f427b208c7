import { STALE_MARKER_BITS, type WireSeries } from './wire.js';

/** Series for comparisons of whole answers: counters, gauges, classic histograms and values that are hard to print. */
export function makeApiSeries(startMs: number, stepMs: number, rounds: number): WireSeries[] {
  const times = Array.from({ length: rounds }, (_, i) => startMs + i * stepMs);
  const series = (labels: Record<string, string>, value: (i: number) => number | bigint): WireSeries => ({
    labels: Object.entries(labels).sort(([a], [b]) => (a < b ? -1 : 1)),
    samples: times.map((timestampMs, i) => ({ value: value(i), timestampMs })),
  });
  const out: WireSeries[] = [];
  for (const job of ['api', 'web', 'db']) {
    out.push(series({ __name__: 'up', job }, (i) => (i % 20 === 7 ? 0 : 1)));
    out.push(series({ __name__: 'temperature_celsius', job }, (i) => 20 + Math.sin(i / 7) * job.length));
    for (const code of ['200', '404', '500', '503']) {
      const slope = Number(code) / 100;
      out.push(series({ __name__: 'requests_total', job, code }, (i) => (i % 40) * slope));
    }
    for (const [b, le] of ['0.1', '0.5', '1', '5', '+Inf'].entries()) {
      out.push(series({ __name__: 'latency_seconds_bucket', job, le }, (i) => i * (b + 1)));
    }
  }
  out.push(series({ __name__: 'special_value', kind: 'infinite' }, (i) => (i % 2 ? 1 / 0 : -1 / 0)));
  out.push(series({ __name__: 'special_value', kind: 'nan' }, (i) => (i % 3 ? 0x7ff8000000000001n : 1)));
  out.push(series({ __name__: 'special_value', kind: 'tiny' }, (i) => 1e-9 * i));
  out.push(series({ __name__: 'special_value', kind: 'huge' }, (i) => 1e21 * (i + 1)));
  out.push(series({ __name__: 'special_value', kind: 'stale' }, (i) => (i === 40 ? STALE_MARKER_BITS : i)));
  out.push(series({ __name__: 'special_value', 'service.name': 'dotted', unicode: 'grün 🌲 <&>' }, (i) => i));
  return out;
}
