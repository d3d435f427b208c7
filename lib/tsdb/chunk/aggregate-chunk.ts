import { ByteReader } from '../../bytes/index.js';
import { CorruptionError } from '../../errors/index.js';

/** Aggregates of a window, in the order of their entries. */
export const AGGREGATE = { count: 0, sum: 1, min: 2, max: 3, counter: 4 } as const;
export type Aggregate = (typeof AGGREGATE)[keyof typeof AGGREGATE];

const AGGREGATE_COUNT = 5;

/** A chunk inside an aggregate chunk: its encoding and a view of its bytes. */
export interface InnerChunk {
  readonly encoding: number;
  readonly data: Uint8Array;
}

/**
 * The chunks of a downsampled chunk (encoding 255) by their aggregate, null where one is absent: Thanos' AggrChunk
 * (spec: thanos-downsampling.md §2). Samples of the counter may repeat a timestamp.
 * @throws CorruptionError `bytes-truncated`, `varint-overflow`, or `chunk-trailing-bytes`
 */
export function decodeAggregateChunk(chunk: Uint8Array): readonly (InnerChunk | null)[] {
  const reader = new ByteReader(chunk);
  const inner: (InnerChunk | null)[] = [];
  for (let i = 0; i < AGGREGATE_COUNT; i++) {
    const byteCount = reader.uvarint();
    // An absent entry ends here: the encoding byte is left out with it.
    inner.push(byteCount === 0 ? null : { encoding: reader.u8(), data: reader.bytes(byteCount) });
  }
  if (reader.remaining > 0) {
    throw new CorruptionError(
      'chunk-trailing-bytes',
      `an aggregate chunk of ${chunk.length} bytes ends at offset ${reader.offset}`,
      { details: { offset: reader.offset, expected: reader.offset, found: chunk.length } },
    );
  }
  return inner;
}
