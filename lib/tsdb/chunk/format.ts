/** Encoding bytes of chunks (docs/formats). */
export const ENCODING = {
  xor: 1,
  histogram: 2,
  floatHistogram: 3,
  xor2: 4,
  histogramSt: 5,
  floatHistogramSt: 6,
  aggregate: 255,
} as const;

/** Top bits of a histogram chunk's flags: what is known about a counter reset right before its first sample. */
export const RESET_HEADER = { unknown: 0x00, reset: 0x80, notReset: 0x40, gauge: 0xc0 } as const;
export type ResetHeader = (typeof RESET_HEADER)[keyof typeof RESET_HEADER];

/** Sample count, then flags. */
export const HISTOGRAM_HEADER_BYTES = 3;
export const SAMPLES_MAX = 65535;
export const STALE_HIGH = 0x7ff0_0000;
export const STALE_LOW = 2;
