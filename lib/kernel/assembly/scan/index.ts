export function scanVersion(): u32 { return 1; }
