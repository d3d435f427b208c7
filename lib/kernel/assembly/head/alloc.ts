// Allocator of a head: size classes with free lists over a bump pointer. Classes step by 16 bytes up to 1 KiB, then by
// an eighth of each doubling, so rounding wastes at most 12 %. Blocks are never merged or returned to the system; a
// freed block serves the next request of its class, which suits a head: its blocks have few, recurring sizes.
import { FREE_LISTS, HEAP } from './layout';

let top: usize = 0;
let limit: usize = 0;
let used: u64 = 0;
let bytesMax: u64 = 0;

export function allocInit(maxBytes: f64): void {
  top = HEAP;
  limit = <usize>memory.size() << 16;
  bytesMax = <u64>maxBytes;
  used = 0;
  memory.fill(FREE_LISTS, 0, 1024);
}

// @ts-ignore: decorator
@inline function classOf(n: u32): u32 {
  if (n <= 1024) return (n + 15) >> 4; // 1..64
  const m = n - 1;
  const shift = 28 - clz<u32>(m); // keeps 4 significant bits: 8..15
  return 64 + ((shift - 7) << 3) + ((m >> shift) - 7);
}

// @ts-ignore: decorator
@inline function classBytes(c: u32): u32 {
  if (c <= 64) return c << 4;
  const k = c - 65;
  return ((k & 7) + 9) << ((k >> 3) + 7);
}

/** Size of the block that a request of n bytes gets. */
export function blockBytes(n: u32): u32 {
  return classBytes(classOf(n));
}

/** Bytes still to be had, in fresh memory alone. Callers check it before a batch, so that alloc does not fail inside. */
export function allocHeadroom(): f64 {
  return <f64>bytesMax - <f64>top;
}

export function allocUsedBytes(): f64 {
  return <f64>used;
}

export function allocTop(): f64 {
  return <f64>top;
}

/** A block of at least n bytes, 16-byte aligned, not zeroed. 0 when memory is used up. */
export function alloc(n: u32): usize {
  const c = classOf(n);
  const size = classBytes(c);
  const slot = FREE_LISTS + (<usize>c << 2);
  const free = load<u32>(slot);
  if (free != 0) {
    store<u32>(slot, load<u32>(<usize>free));
    used += size;
    return <usize>free;
  }
  const p = top;
  if (<u64>p + <u64>size + 64 > <u64>limit) {
    if (<u64>p + <u64>size + 64 > bytesMax) return 0;
    const pages = ((<u64>p + <u64>size + 64 - <u64>limit) >> 16) + 17;
    let grow = <i32>pages;
    const room = <i32>((bytesMax - <u64>limit) >> 16);
    if (grow > room) grow = room;
    if (memory.grow(grow) < 0) return 0;
    limit = <usize>((<u64>memory.size()) << 16);
    if (<u64>p + <u64>size + 64 > <u64>limit) return 0;
  }
  top = p + size;
  used += size;
  return p;
}

/** Gives a block back; n is the size it was asked for with. */
export function free(p: usize, n: u32): void {
  const c = classOf(n);
  const slot = FREE_LISTS + (<usize>c << 2);
  store<u32>(p, load<u32>(slot));
  store<u32>(slot, <u32>p);
  used -= classBytes(c);
}
