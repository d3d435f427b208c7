import type { ChunkArena, SeriesSet } from '../storage/index.js';
import type { ChunkConversion } from '../tsdb/block/index.js';

/** Converts the chunks of an answer that its source gave as they are; those that convert to nothing are left out. */
export function convertSet(set: SeriesSet, convert: ChunkConversion, arena: ChunkArena): SeriesSet {
  const chunkOffsets = new Uint32Array(set.seriesCount + 1);
  const chunkAddresses = set.chunkAddresses.slice();
  const chunkByteLengths = set.chunkByteLengths.slice();
  const chunkMinTimes = set.chunkMinTimes.slice();
  const chunkMaxTimes = set.chunkMaxTimes.slice();
  const chunkEncodings = set.chunkEncodings.slice();
  let kept = 0;
  for (let series = 0; series < set.seriesCount; series++) {
    for (let i = set.chunkOffsets[series]!; i < set.chunkOffsets[series + 1]!; i++) {
      const address = set.chunkAddresses[i]!;
      const source = arena.bytes().subarray(address, address + set.chunkByteLengths[i]!);
      const chunk = convert(set.chunkEncodings[i]!, source, set.chunkMinTimes[i]!, set.chunkMaxTimes[i]!);
      if (chunk === null) continue;
      // Many stay as they are.
      const isSame = chunk.data === source;
      const target = isSame ? address : arena.reserve(chunk.data.length);
      if (!isSame) arena.bytes().set(chunk.data, target);
      chunkAddresses[kept] = target;
      chunkByteLengths[kept] = chunk.data.length;
      chunkMinTimes[kept] = chunk.minTime;
      chunkMaxTimes[kept] = chunk.maxTime;
      chunkEncodings[kept] = chunk.encoding;
      kept++;
    }
    chunkOffsets[series + 1] = kept;
  }
  return {
    ...set,
    chunkOffsets,
    chunkAddresses: chunkAddresses.subarray(0, kept),
    chunkByteLengths: chunkByteLengths.subarray(0, kept),
    chunkMinTimes: chunkMinTimes.subarray(0, kept),
    chunkMaxTimes: chunkMaxTimes.subarray(0, kept),
    chunkEncodings: chunkEncodings.subarray(0, kept),
  };
}
