import { compress, encodeRequest, PUSH_HEADERS, pushBody } from '../wire.js';
import { type GeneratedPoint, type GeneratedSeries, toRequests } from './series.js';

/** Both servers refuse samples that lie too far behind their newest one. */
const SLICE_MS = 20 * 60_000;

/** Sends series by remote write, in slices of time. @throws when one request is refused. */
export async function loadSeries(
  url: string,
  series: readonly GeneratedSeries[],
  headers: Readonly<Record<string, string>> = {},
): Promise<void> {
  for (const request of slicesOf(series).flatMap(toRequests)) {
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
