export function probe(p: usize): u32 { return atomic.load<u32>(p); }
