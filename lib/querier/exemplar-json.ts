import type { ExemplarSeries } from '../exemplar/index.js';
import { metricText } from './encode.js';
import { ByteWriter, formatFloat, TIMESTAMP_BYTES_MAX, writeTimestamp } from './json-bytes.js';

/** Exemplars written before other work gets its turn. */
const PER_TURN = 5000;

/** The whole answer to query_exemplars. It is made on the main thread, so in pieces. */
export async function encodeExemplars(list: readonly ExemplarSeries[]): Promise<Uint8Array<ArrayBuffer>> {
  const out = new ByteWriter(256 + list.length * 512);
  out.text('{"status":"success","data":[');
  let written = 0;
  for (let i = 0; i < list.length; i++) {
    const { labels, exemplars } = list[i]!;
    out.text(`${i === 0 ? '' : ','}{"seriesLabels":${metricText(labels)},"exemplars":[`);
    for (let k = 0; k < exemplars.length; k++) {
      const exemplar = exemplars[k]!;
      const value = formatFloat(exemplar.value);
      out.text(
        `${k === 0 ? '' : ','}{"labels":${metricText(exemplar.labels)},"value":"${value}","timestamp":`,
      );
      out.reserve(TIMESTAMP_BYTES_MAX);
      out.length = writeTimestamp(out.bytes, out.length, exemplar.timestampMs);
      out.text('}');
      if (++written % PER_TURN === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    out.text(']}');
  }
  out.text(']}');
  return out.finish();
}
