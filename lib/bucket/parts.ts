import { type FileHandle, open } from 'node:fs/promises';
import { Readable } from 'node:stream';
import type { ObjectSource } from './bucket.js';

/**
 * Cuts what is to be stored into parts of `partBytes` (the last one may be shorter, an empty object is one empty part).
 * One part is in memory at a time for each one that the reader holds.
 */
export async function* partsOf(source: ObjectSource, partBytes: number): AsyncGenerator<Uint8Array> {
  if (source instanceof Uint8Array) {
    for (let at = 0; at === 0 || at < source.length; at += partBytes)
      yield source.subarray(at, at + partBytes);
  } else if (source instanceof Readable) yield* partsOfStream(source, partBytes);
  else {
    const file = await open(source.path, 'r');
    try {
      yield* partsOfFile(file, partBytes);
    } finally {
      await file.close();
    }
  }
}

async function* partsOfFile(file: FileHandle, partBytes: number): AsyncGenerator<Uint8Array> {
  const { size } = await file.stat();
  for (let at = 0; at === 0 || at < size; at += partBytes) {
    const part = Buffer.allocUnsafeSlow(Math.min(partBytes, size - at));
    let filled = 0;
    while (filled < part.length) {
      const { bytesRead } = await file.read(part, filled, part.length - filled, at + filled);
      if (bytesRead === 0) throw new Error(`the file became shorter than ${size} bytes while it was read`);
      filled += bytesRead;
    }
    yield part;
  }
}

async function* partsOfStream(stream: Readable, partBytes: number): AsyncGenerator<Uint8Array> {
  let pieces: Uint8Array[] = [];
  let held = 0;
  let isFirst = true;
  for await (const read of stream) {
    let piece: Uint8Array = typeof read === 'string' ? Buffer.from(read) : (read as Uint8Array);
    while (held + piece.length >= partBytes) {
      const wanted = partBytes - held;
      yield Buffer.concat([...pieces, piece.subarray(0, wanted)]);
      isFirst = false;
      piece = piece.subarray(wanted);
      pieces = [];
      held = 0;
    }
    if (piece.length === 0) continue;
    pieces.push(piece);
    held += piece.length;
  }
  if (held > 0 || isFirst) yield Buffer.concat(pieces);
}
