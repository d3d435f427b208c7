import type { FederateFormat } from './federate.js';
import type { Escaping } from './label-escape.js';

const ESCAPINGS: readonly string[] = ['allow-utf-8', 'underscores', 'dots', 'values'] satisfies Escaping[];
const TEXT = 'text/plain; version=0.0.4; charset=utf-8';
const PROTOBUF =
  'application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited';

/** The form of federated samples that an `Accept` header prefers: protobuf or text, which everybody gets by default. */
export function negotiate(accept: string): FederateFormat {
  const wanted = accept
    .split(',')
    .map((item) => {
      const [type = '', ...rest] = item.split(';').map((part) => part.trim());
      const parameters = new Map(
        rest.map((part): [string, string] => {
          const mark = part.indexOf('=');
          return mark < 0 ? [part, ''] : [part.slice(0, mark).trim(), part.slice(mark + 1).trim()];
        }),
      );
      const quality = Number(parameters.get('q') ?? 1);
      return { type: type.toLowerCase(), parameters, quality: Number.isNaN(quality) ? 0 : quality };
    })
    .sort((a, b) => b.quality - a.quality);
  for (const { type, parameters } of wanted) {
    const named = parameters.get('escaping') ?? '';
    const escaping = (ESCAPINGS.includes(named) ? named : 'underscores') as Escaping;
    if (type === 'text/plain') return { isProtobuf: false, escaping };
    const isProtobuf =
      type === 'application/vnd.google.protobuf' &&
      parameters.get('proto') === 'io.prometheus.client.MetricFamily' &&
      parameters.get('encoding') === 'delimited';
    if (isProtobuf) return { isProtobuf: true, escaping };
  }
  return { isProtobuf: false, escaping: 'underscores' };
}

/** The content type of a form. */
export function contentTypeOf({ isProtobuf, escaping }: FederateFormat): string {
  return `${isProtobuf ? PROTOBUF : TEXT}; escaping=${escaping}`;
}
