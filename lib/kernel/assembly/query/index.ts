export function queryVersion(): u32 { return 1; }
