import { compress, encodeRequest, PUSH_HEADERS, pushBody } from '../wire.js';
import { type GeneratedSeries, toRequests } from './series.js';

/** Sends series by remote write. @throws when one request is refused. */
export async function loadSeries(
  url: string,
  series: readonly GeneratedSeries[],
  headers: Readonly<Record<string, string>> = {},
): Promise<void> {
  for (const request of toRequests(series)) {
    const answer = await pushBody(url, compress(encodeRequest(request)), { ...PUSH_HEADERS, ...headers });
    if (answer.status >= 300)
      throw new Error(`${url} answered ${answer.status}: ${answer.text.slice(0, 500)}`);
  }
}
