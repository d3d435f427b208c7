export function headVersion(): u32 { return 1; }
