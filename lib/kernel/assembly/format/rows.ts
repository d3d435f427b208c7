// Points of one series as JSON: `[<seconds>,"<value>"],` for each. Writers overwrite up to 64 bytes after the end.

import { writeDouble, writeSeconds } from './digits';

/** `"],` behind each value. */
const POINT_END: u32 = 0x2c5d22;
/** A step's `[<seconds>,"` takes one slot of 32 bytes, its length in the last of them. */
const SLOT_SHIFT: u32 = 5;

function writePrefix(p: usize, timestampMs: f64): usize {
  store<u8>(p, 91);
  p = writeSeconds(p + 1, timestampMs);
  store<u16>(p, 0x222c);
  return p + 2;
}

// @ts-ignore: decorator
@inline
function copy32(to: usize, from: usize): void {
  const second = v128.load(from, 16);
  v128.store(to, v128.load(from));
  v128.store(to, second, 16);
}

/** Writes the prefixes of `count` steps, which serve all series of a query. */
export function formatSteps(prefixes: usize, startMs: f64, stepMs: f64, count: u32): void {
  for (let k: u32 = 0; k < count; k++) {
    const slot = prefixes + ((<usize>k) << SLOT_SHIFT);
    store<u8>(slot, <u8>(writePrefix(slot, startMs + <f64>k * stepMs) - slot), 31);
  }
}

/** Writes the present points among `count` steps. Returns the address after the last comma. */
export function formatRow(prefixes: usize, values: usize, present: usize, count: u32, to: usize): usize {
  let p = to;
  let lastBits: u64 = 0;
  let lastText: usize = 0;
  let lastLength: usize = 0;
  for (let k: usize = 0; k < <usize>count; k++) {
    if (load<u8>(present + k) != 1) continue;
    const slot = prefixes + (k << SLOT_SHIFT);
    copy32(p, slot);
    p += load<u8>(slot, 31);
    const bits = load<u64>(values + (k << 3));
    // Flat stretches are common, and copying a text is cheaper than making it.
    if (bits == lastBits && lastLength != 0) {
      copy32(p, lastText);
      lastText = p;
    } else {
      lastBits = bits;
      lastText = p;
      lastLength = writeDouble(p, reinterpret<f64>(bits)) - p;
    }
    p += lastLength;
    store<u32>(p, POINT_END);
    p += 3;
  }
  return p;
}

/** Writes points with times of their own. Returns the address after the last comma. */
export function formatTimedRow(timestampsMs: usize, values: usize, count: u32, to: usize): usize {
  let p = to;
  for (let k: usize = 0; k < <usize>count; k++) {
    p = writePrefix(p, load<f64>(timestampsMs + (k << 3)));
    p = writeDouble(p, load<f64>(values + (k << 3)));
    store<u32>(p, POINT_END);
    p += 3;
  }
  return p;
}
