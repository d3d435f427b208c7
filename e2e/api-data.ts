import {
  bytesField,
  doubleField,
  STALE_MARKER_BITS,
  varint,
  varintField,
  type WireSeries,
  zigzag,
} from './wire.js';

/** Series for comparisons of whole answers: counters, gauges, histograms of all kinds and values that are hard to print. */
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
  for (const kind of ['integer', 'float', 'custom'] as const) {
    out.push({
      labels: [
        ['__name__', 'native_seconds'],
        ['kind', kind],
      ],
      histograms: times.map((timestampMs, i) => encodeHistogram(kind, i, timestampMs)),
    });
  }
  return out;
}

const zigzagField = (field: number, value: number) => Buffer.concat([varint(field * 8), zigzag(value)]);
const span = (offset: number, length: number) =>
  Buffer.concat([zigzagField(1, offset), varintField(2, length)]);
const doubles = (field: number, values: readonly number[]) =>
  Buffer.concat(values.map((value) => doubleField(field, value)));

/** Observations that grow by three kinds of buckets with each round, and begin anew after thirty. */
function encodeHistogram(
  kind: 'integer' | 'float' | 'custom',
  round: number,
  timestampMs: number,
): Uint8Array {
  const n = (round % 30) + 1;
  const isFloat = kind === 'float';
  const isCustom = kind === 'custom';
  const zero = isCustom ? 0 : n;
  return Buffer.concat([
    isFloat ? doubleField(2, 6 * n + zero) : varintField(1, 6 * n + zero),
    doubleField(3, 12.5 * n),
    zigzagField(4, isCustom ? -53 : 1),
    doubleField(5, isCustom ? 0 : 0.001),
    isFloat ? doubleField(7, zero) : varintField(6, zero),
    bytesField(11, span(isCustom ? 0 : -2, isCustom ? 3 : 2)),
    ...(isCustom ? [] : [bytesField(11, span(3, 1))]),
    isFloat
      ? doubles(13, [n, 2 * n, 3 * n])
      : bytesField(12, Buffer.concat([n, n, n].map((delta) => zigzag(delta)))),
    varintField(15, timestampMs),
    isCustom ? doubles(16, [0.5, 1, 5]) : Buffer.alloc(0),
  ]);
}
