import { ByteWriter } from '../index/index.js';

/** An aggregate to be written: encoding and bytes of its chunk; null when it is absent. */
export type AggregateParts = readonly ({ readonly encoding: number; readonly data: Uint8Array } | null)[];

/** The bytes of an aggregate chunk of count, sum, min, max, counter (spec: thanos-downsampling.md §2). A copy. */
export function encodeAggregateChunk(parts: AggregateParts): Uint8Array {
  const out = new ByteWriter(1024);
  for (const part of parts) {
    if (part === null) out.u8(0);
    else {
      out.uvarint(part.data.length);
      out.u8(part.encoding);
      out.raw(part.data);
    }
  }
  return out.view().slice();
}
