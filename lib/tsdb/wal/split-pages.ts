import { assert } from '../../assert/index.js';
import { codecKernel } from '../../kernel/index.js';
import { FRAGMENT_KIND_MASK, SNAPPY_FLAG } from './format.js';

const PAGE_BYTES = 32768;
const HEADER_BYTES = 7;
/** Far above what one request can make. */
const RECORD_BYTES_MAX = 2 ** 31 - 1;

/**
 * Splits log pages that we framed ourselves back into records.
 * @param pages        framed bytes, beginning at a record
 * @param pagePosition where in its page the first byte stood
 * @returns the records, copied and decompressed
 */
export function splitPages(pages: Uint8Array, pagePosition: number): Uint8Array[] {
  const records: Uint8Array[] = [];
  let parts: Uint8Array[] = [];
  let at = 0;
  while (at < pages.length) {
    const left = PAGE_BYTES - ((pagePosition + at) % PAGE_BYTES);
    const typeByte = pages[at]!;
    const kind = typeByte & FRAGMENT_KIND_MASK;
    if (left < HEADER_BYTES || kind === 0) {
      at += left;
      continue;
    }
    const length = (pages[at + 1]! << 8) | pages[at + 2]!;
    assert(kind <= 4 && HEADER_BYTES + length <= left, 'log pages framed by the kernel');
    parts.push(pages.slice(at + HEADER_BYTES, at + HEADER_BYTES + length));
    at += HEADER_BYTES + length;
    if (kind === 1 || kind === 4) {
      const stored = parts.length === 1 ? parts[0]! : new Uint8Array(Buffer.concat(parts));
      const isCompressed = (typeByte & SNAPPY_FLAG) !== 0;
      records.push(isCompressed ? codecKernel().snappyDecode(stored, RECORD_BYTES_MAX) : stored);
      parts = [];
    }
  }
  return records;
}
