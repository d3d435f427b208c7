import type { SeriesSet, Symbols } from '../../storage/index.js';

/** Gathers the columns of a SeriesSet, except what only the chunk bytes tell. */
export class SeriesColumns {
  seriesCount = 0;
  chunkCount = 0;
  labelOffsets: Uint32Array = new Uint32Array(65);
  labels: Uint32Array = new Uint32Array(512);
  chunkOffsets: Uint32Array = new Uint32Array(65);
  chunkRefs: Float64Array = new Float64Array(256);
  chunkMinTimes: Float64Array = new Float64Array(256);
  chunkMaxTimes: Float64Array = new Float64Array(256);

  /** Appends a chunk to the series that `addSeries` will close. */
  addChunk(ref: number, minTime: number, maxTime: number): void {
    const at = this.chunkCount++;
    if (at === this.chunkRefs.length) {
      this.chunkRefs = grownFloats(this.chunkRefs);
      this.chunkMinTimes = grownFloats(this.chunkMinTimes);
      this.chunkMaxTimes = grownFloats(this.chunkMaxTimes);
    }
    this.chunkRefs[at] = ref;
    this.chunkMinTimes[at] = minTime;
    this.chunkMaxTimes[at] = maxTime;
  }

  /** Ends a series: its labels and the chunks added since the last one. */
  addSeries(labels: Uint32Array, labelCount: number): void {
    const start = this.labelOffsets[this.seriesCount]!;
    const end = start + labelCount * 2;
    while (end > this.labels.length) this.labels = grownInts(this.labels);
    for (let i = 0; i < labelCount * 2; i++) this.labels[start + i] = labels[i]!;
    this.seriesCount++;
    if (this.seriesCount === this.labelOffsets.length) {
      this.labelOffsets = grownInts(this.labelOffsets);
      this.chunkOffsets = grownInts(this.chunkOffsets);
    }
    this.labelOffsets[this.seriesCount] = end;
    this.chunkOffsets[this.seriesCount] = this.chunkCount;
  }

  /** The set, given where the chunks lie. */
  finish(
    symbols: Symbols,
    chunks: { addresses: Uint32Array; byteLengths: Uint32Array; encodings: Uint8Array },
  ): SeriesSet {
    const { seriesCount, chunkCount } = this;
    return {
      symbols,
      seriesCount,
      labelOffsets: this.labelOffsets.subarray(0, seriesCount + 1),
      labels: this.labels.subarray(0, this.labelOffsets[seriesCount]!),
      chunkOffsets: this.chunkOffsets.subarray(0, seriesCount + 1),
      chunkAddresses: chunks.addresses,
      chunkByteLengths: chunks.byteLengths,
      chunkMinTimes: this.chunkMinTimes.subarray(0, chunkCount),
      chunkMaxTimes: this.chunkMaxTimes.subarray(0, chunkCount),
      chunkEncodings: chunks.encodings,
      warnings: [],
    };
  }
}

function grownFloats(column: Float64Array): Float64Array {
  const next = new Float64Array(column.length * 2);
  next.set(column);
  return next;
}

function grownInts(column: Uint32Array): Uint32Array {
  const next = new Uint32Array(column.length * 2);
  next.set(column);
  return next;
}
