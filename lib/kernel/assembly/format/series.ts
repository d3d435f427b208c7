// Series of an answer: label sets put together from texts that were made once per symbol, and instant vectors.
//
// A text is a record: u32 byte length, then the JSON string, quotes included. Copies go 16 bytes at a time, so records
// may be read and targets overwritten up to 16 bytes beyond.

import { writeDouble } from './digits';

const TEXT_BYTES: usize = 4;
const OPEN_BRACE: u8 = 123;
const CLOSE_BRACE: u8 = 125;
const COMMA: u8 = 44;
const COLON: u8 = 58;
/** `{"metric":` */
const METRIC_LOW: u64 = 0x697274656d227b;
const METRIC_HIGH: u32 = 0x3a2263;
/** `,"value":[` and `,"values":[` */
const VALUE_LOW: u64 = 0x2265756c6176222c;
const VALUE_HIGH: u16 = 0x5b3a;
const VALUES_LOW: u64 = 0x7365756c6176222c;
const VALUES_HIGH: u32 = 0x5b3a22;
/** `"]},` */
const VECTOR_END: u32 = 0x2c7d5d22;

/** Room for everything of a series but its labels and the time: punctuation, a value, overwritten bytes. */
const FIXED_BYTES: usize = 160;

let doneSeries: u32 = 0;

// @ts-ignore: decorator
@inline
function copyText(p: usize, from: usize, length: usize): void {
  for (let i: usize = 0; i < length; i += 16) v128.store(p + i, v128.load(from + i));
}

/** Bytes of the texts at `count` addresses with a separator behind each. */
function textBytes(addresses: usize, count: u32): usize {
  let sum: usize = 0;
  for (let i: usize = 0; i < <usize>count; i++) sum += <usize>load<u32>(<usize>load<u32>(addresses + (i << 2))) + 1;
  return sum;
}

/** Writes `{"metric":{...}`; the addresses are those of a name and a value in turn. */
function writeMetric(p: usize, addresses: usize, count: u32): usize {
  store<u64>(p, METRIC_LOW);
  store<u32>(p, METRIC_HIGH, 7);
  store<u8>(p, OPEN_BRACE, 10);
  p += 11;
  for (let i: usize = 0; i < <usize>count; i += 2) {
    const name = <usize>load<u32>(addresses + (i << 2));
    const nameLength = <usize>load<u32>(name);
    copyText(p, name + TEXT_BYTES, nameLength);
    p += nameLength;
    store<u8>(p++, COLON);
    const value = <usize>load<u32>(addresses + (i << 2), 4);
    const valueLength = <usize>load<u32>(value);
    copyText(p, value + TEXT_BYTES, valueLength);
    p += valueLength;
    store<u8>(p++, COMMA);
  }
  if (count != 0) p--;
  store<u8>(p, CLOSE_BRACE);
  return p + 1;
}

/**
 * Writes the beginning of a series of a matrix, up to its first point.
 * @returns the address after it, or 0 when it does not fit below `end`
 */
export function formatSeries(addresses: usize, count: u32, to: usize, end: usize): usize {
  if (to + textBytes(addresses, count) + FIXED_BYTES > end) return 0;
  const p = writeMetric(to, addresses, count);
  store<u64>(p, VALUES_LOW);
  store<u32>(p, VALUES_HIGH, 8);
  return p + 11;
}

/**
 * Writes elements of an instant vector with a comma behind each, as many of `count` as fit below `end`.
 * @param offsets u32 per element and one more: its texts are those at `addresses` from one offset to the next
 * @param stamp the text of the time
 * @returns the address after the last comma; `formatDone` tells how many were written
 */
export function formatVector(
  addresses: usize, offsets: usize, values: usize, count: u32, stamp: usize, stampLength: u32, to: usize, end: usize,
): usize {
  let p = to;
  let i: u32 = 0;
  for (; i < count; i++) {
    const slot = offsets + ((<usize>i) << 2);
    const from = load<u32>(slot);
    const texts = load<u32>(slot, 4) - from;
    const first = addresses + ((<usize>from) << 2);
    if (p + textBytes(first, texts) + <usize>stampLength + FIXED_BYTES > end) break;
    p = writeMetric(p, first, texts);
    store<u64>(p, VALUE_LOW);
    store<u16>(p, VALUE_HIGH, 8);
    p += 10;
    copyText(p, stamp, stampLength);
    p += stampLength;
    store<u16>(p, 0x222c);
    p = writeDouble(p + 2, load<f64>(values + ((<usize>i) << 3)));
    store<u32>(p, VECTOR_END);
    p += 4;
  }
  doneSeries = i;
  return p;
}

/** Elements that the last `formatVector` wrote. */
export function formatDone(): u32 {
  return doneSeries;
}
