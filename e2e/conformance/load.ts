import { compress, encodeRequest, PUSH_HEADERS, pushBody, type WireSeries } from '../wire.js';
import { type GeneratedPoint, type GeneratedSeries, toRequests } from './series.js';

/** Both servers refuse samples that lie too far behind their newest one. */
const SLICE_MS = 20 * 60_000;

/** Sends series by remote write, in slices of time. @throws when one request is refused. */
export async function loadSeries(
  url: string,
  series: readonly GeneratedSeries[],
  headers: Readonly<Record<string, string>> = {},
): Promise<void> {
  await pushRequests(url, slicesOf(series).flatMap(toRequests), headers);
}

/** Sends requests one after the other. @throws when one is refused */
export async function pushRequests(
  url: string,
  requests: readonly (readonly WireSeries[])[],
  headers: Readonly<Record<string, string>>,
): Promise<void> {
  for (const request of requests) {
    const answer = await pushBody(url, compress(encodeRequest(request)), { ...PUSH_HEADERS, ...headers });
    if (answer.status >= 300)
      throw new Error(`${url} answered ${answer.status}: ${answer.text.slice(0, 500)}`);
  }
}

function slicesOf(series: readonly GeneratedSeries[]): GeneratedSeries[][] {
  const numberOf = ({ timestampMs }: GeneratedPoint): number => Math.floor(timestampMs / SLICE_MS);
  const numbers = [...new Set(series.flatMap(({ points }) => points.map(numberOf)))].sort((a, b) => a - b);
  return numbers.map((number) =>
    series
      .map(({ labels, points }) => ({ labels, points: points.filter((point) => numberOf(point) === number) }))
      .filter(({ points }) => points.length > 0),
  );
}
