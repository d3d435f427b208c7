/** Constants of the write-ahead log: pages, fragments, record types (docs/formats). */
export const PAGE_BYTES = 32 * 1024;
/** Type byte, be16 length, be32 CRC. */
export const FRAGMENT_HEADER_BYTES = 7;
export const SEGMENT_BYTES_MAX = 128 * 1024 * 1024;

/** Low three bits of a fragment's type byte. */
export const FRAGMENT = { padding: 0, full: 1, first: 2, middle: 3, last: 4 } as const;
export const FRAGMENT_KIND_MASK = 0x07;
export const SNAPPY_FLAG = 0x08;
export const ZSTD_FLAG = 0x10;

/** First byte of a record. */
export const RECORD = {
  series: 1,
  samples: 2,
  tombstones: 3,
  exemplars: 4,
  mmapMarkers: 5,
  metadata: 6,
  histograms: 7,
  floatHistograms: 8,
  customHistograms: 9,
  customFloatHistograms: 10,
  samplesV2: 11,
  histogramsV2: 12,
  floatHistogramsV2: 13,
} as const;

/** Schema of histograms with custom bucket bounds. */
export const CUSTOM_BUCKETS_SCHEMA = -53;
