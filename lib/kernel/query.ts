import { VarveError } from '../errors/index.js';
import { createMemory, instantiate, MEMORY_BYTES_MAX } from './module.js';

/** Range functions of the kernel, by their PromQL names; the numbers are those of assembly/query/blocks.ts. */
export const RANGE_FUNCTION = {
  rate: 0,
  increase: 1,
  delta: 2,
  irate: 3,
  idelta: 4,
  changes: 5,
  resets: 6,
  deriv: 7,
  predict_linear: 8,
  sum_over_time: 9,
  avg_over_time: 10,
  min_over_time: 11,
  max_over_time: 12,
  count_over_time: 13,
  last_over_time: 14,
  first_over_time: 15,
  present_over_time: 16,
  stddev_over_time: 17,
  stdvar_over_time: 18,
  quantile_over_time: 19,
  mad_over_time: 20,
  ts_of_min_over_time: 21,
  ts_of_max_over_time: 22,
  ts_of_first_over_time: 23,
  ts_of_last_over_time: 24,
  double_exponential_smoothing: 25,
} as const;

/** Aggregations that the kernel accumulates in place; numbers of assembly/query/aggregate.ts. */
export const AGGREGATION = {
  sum: 0,
  avg: 1,
  count: 2,
  min: 3,
  max: 4,
  group: 5,
  stddev: 6,
  stdvar: 7,
} as const;

/** Comparisons that filter in the kernel; numbers of assembly/query/filter.ts. */
export const COMPARISON = { '==': 0, '!=': 1, '<': 2, '<=': 3, '>': 4, '>=': 5 } as const;

/** Steps of one `queryQuantileSteps`, and bytes of its work area beside the values. */
export const QUANTILE_STEPS = 8;
export const QUANTILE_WORK_BYTES = 64;

/** How an instant selector reads: values, sample times in seconds, or interpolated values. */
export const INSTANT_MODE = { values: 0, times: 1, smoothed: 2 } as const;

/** Window form of a range selector. */
export const WINDOW_FORM = { plain: 0, anchored: 1, smoothed: 2 } as const;

/** Result codes of functions that decode. */
export const QUERY_CODE = { corruptChunk: -1, columnsTooSmall: -2 } as const;

/** Exports of assembly/query; addresses and counts are u32, times in ms. */
export interface QueryExports {
  queryColumns(address: number, samples: number): void;
  querySteps(windows: number, reference: number, step: number, steps: number): void;
  queryChunkTable(addresses: number, lengths: number, minTimes: number, maxTimes: number): void;
  querySamplesMax(chunkOffsets: number, seriesCount: number, minTime: number, maxTime: number): number;
  queryArguments(
    first: number,
    second: number,
    work: number,
    origin: number,
    originStep: number,
    lookback: number,
  ): void;
  queryInstantBlock(
    chunkOffsets: number,
    from: number,
    to: number,
    minTime: number,
    maxTime: number,
    lookback: number,
    mode: number,
    rows: number,
    present: number,
  ): number;
  queryRangeBlock(
    fn: number,
    form: number,
    chunkOffsets: number,
    from: number,
    to: number,
    minTime: number,
    maxTime: number,
    range: number,
    rows: number,
    present: number,
  ): number;
  queryRangeOverRows(
    fn: number,
    series: number,
    range: number,
    sourceRows: number,
    sourcePresent: number,
    points: number,
    start: number,
    step: number,
    rows: number,
    present: number,
  ): number;
  queryLoadSamples(
    chunkOffsets: number,
    series: number,
    minTime: number,
    maxTime: number,
    before: number,
    after: number,
  ): number;
  queryFirst(): number;
  queryTimes(): number;
  queryValues(): number;
  queryWindowSamples(): number;
  queryCountPresent(present: number, length: number): number;
  queryAggregateBlock(
    operator: number,
    series: number,
    steps: number,
    rows: number,
    present: number,
    groups: number,
    part1: number,
    part2: number,
    part3: number,
    flags: number,
  ): void;
  queryAggregateFinish(
    operator: number,
    total: number,
    part1: number,
    part2: number,
    part3: number,
    flags: number,
  ): void;
  queryQuantile(base: number, length: number, q: number): number;
  queryQuantileSteps(
    members: number,
    count: number,
    steps: number,
    step: number,
    rows: number,
    present: number,
    quantiles: number,
    row: number,
    presentRow: number,
    work: number,
  ): void;
  queryFilter(
    operator: number,
    series: number,
    steps: number,
    rows: number,
    present: number,
    scalars: number,
  ): void;
}

const FREE_BEGIN = 16384;
/** Readable bytes after every reservation, which decoders may over-read. */
const SLACK_BYTES = 16;
/** A query that needed more than this leaves too much memory behind: the next one gets a new, small memory. */
const KEEP_BYTES_MAX = 256 * 1024 * 1024;
const INITIAL_BYTES = 8 * 1024 * 1024;

/**
 * The memory and functions of one query thread: a bump allocator over a private kernel memory, emptied as a whole at
 * the end of each query. Encoded chunks, rows and the work areas of kernel functions all live in it.
 *
 * Views (`f64`, `u8`, `u32`) cover the whole memory and are replaced when it grows: take them from this object at the
 * start of each piece of work that follows an allocation. Old views stay valid for what they cover.
 */
export class QueryKernel {
  f64!: Float64Array;
  u32!: Uint32Array;
  u8!: Uint8Array;
  functions!: QueryExports;
  /** Shared, so that other threads can make instances over it. Another one when `memoryNumber` is another. */
  memory!: WebAssembly.Memory;
  memoryNumber = 0;
  private top = FREE_BEGIN;
  private readonly bytesMax: number;

  /** @param bytesMax budget of one query in bytes; at most 4 GiB. */
  constructor(bytesMax: number) {
    this.bytesMax = Math.min(bytesMax, MEMORY_BYTES_MAX - 65536);
    this.renew();
  }

  /** Bytes in use by the running query. */
  get usedBytes(): number {
    return this.top - FREE_BEGIN;
  }

  /** Bytes that the running query may still reserve. */
  get freeBytes(): number {
    return this.bytesMax - this.usedBytes;
  }

  /** Reserves memory, 8-byte aligned, contents undefined. @throws VarveError limit `query-memory-limit` */
  reserve(byteCount: number): number {
    const address = this.top;
    const end = address + Math.ceil(byteCount / 8) * 8 + SLACK_BYTES;
    if (byteCount < 0 || byteCount > MEMORY_BYTES_MAX || end - FREE_BEGIN > this.bytesMax) {
      throw new VarveError(
        'limit',
        'query-memory-limit',
        `the query needs more than ${this.bytesMax} bytes of memory (query.max_memory_bytes): narrow its selectors or its time range`,
        { details: { bytesMax: this.bytesMax } },
      );
    }
    if (end > this.u8.length) this.grow(end);
    this.top = end;
    return address;
  }

  /** Reserves memory filled with zeros. */
  reserveZeroed(byteCount: number): number {
    const address = this.reserve(byteCount);
    this.u8.fill(0, address, address + byteCount);
    return address;
  }

  /** The memory as bytes; valid until the next `reserve`. */
  bytes(): Uint8Array {
    return this.u8;
  }

  /** Current end of the allocations, to give back everything reserved after it with `release`. */
  mark(): number {
    return this.top;
  }

  /** Gives back all reservations made after `mark`. */
  release(mark: number): void {
    this.top = mark;
  }

  /** Forgets all reservations; drops the memory itself when a query made it huge. */
  reset(): void {
    this.release(FREE_BEGIN);
    if (this.u8.length > KEEP_BYTES_MAX) this.renew();
  }

  /** Takes a new memory for the next query: another thread may still write into this one. */
  abandon(): void {
    this.top = FREE_BEGIN;
    this.renew();
  }

  private renew(): void {
    this.memoryNumber++;
    this.memory = createMemory(Math.min(INITIAL_BYTES, this.bytesMax), this.bytesMax + 2 * 65536);
    this.functions = instantiate<QueryExports>(this.memory);
    this.takeViews();
  }

  private grow(end: number): void {
    const size = this.u8.length;
    // Half as much again, so that a stream of small reservations does not grow page by page.
    const wanted = Math.min(Math.max(end, size + (size >>> 1)), this.bytesMax + FREE_BEGIN + SLACK_BYTES);
    this.memory.grow(Math.ceil((Math.max(wanted, end) - size) / 65536));
    this.takeViews();
  }

  private takeViews(): void {
    const buffer = this.memory.buffer;
    this.u8 = new Uint8Array(buffer);
    this.u32 = new Uint32Array(buffer);
    this.f64 = new Float64Array(buffer);
  }
}
