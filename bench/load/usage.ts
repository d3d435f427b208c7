import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';

/** Linux counts CPU time in ticks of 10 ms for user space, whatever the kernel's own tick is. */
const TICK_MS = 10;

export interface ProcessUsage {
  /** User and system time of all threads, of the process and of its descendants. */
  readonly cpuMs: number;
  readonly userMs: number;
  readonly systemMs: number;
  readonly rssBytes: number;
  readonly peakRssBytes: number;
}

/** What the kernel has accounted to a process and its descendants until now. */
export function usageOf(pid: number): ProcessUsage {
  // The command's name may hold blanks and parentheses: fields are counted after its last ")".
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  let userMs = Number(fields[11]) * TICK_MS;
  let systemMs = Number(fields[12]) * TICK_MS;
  let rssBytes = kilobytes(status, 'VmRSS');
  let peakRssBytes = kilobytes(status, 'VmHWM');
  for (const child of childrenOf(pid)) {
    const usage = usageOf(child);
    userMs += usage.userMs;
    systemMs += usage.systemMs;
    rssBytes += usage.rssBytes;
    peakRssBytes += usage.peakRssBytes;
  }
  return { cpuMs: userMs + systemMs, userMs, systemMs, rssBytes, peakRssBytes };
}

function kilobytes(status: string, field: string): number {
  return Number(new RegExp(`^${field}:\\s+(\\d+) kB`, 'm').exec(status)?.[1] ?? 0) * 1024;
}

function childrenOf(pid: number): number[] {
  const children: number[] = [];
  for (const task of readdirSync(`/proc/${pid}/task`)) {
    const file = `/proc/${pid}/task/${task}/children`;
    if (!existsSync(file)) continue;
    children.push(...readFileSync(file, 'utf8').split(' ').filter(Boolean).map(Number));
  }
  return children;
}

/** Bytes that files below a folder take on disk (allocated blocks, so preallocated or sparse parts count rightly). */
export function diskBytes(folder: string): number {
  let bytes = 0;
  for (const entry of readdirSync(folder, { withFileTypes: true, recursive: true })) {
    if (!entry.isFile()) continue;
    const path = join(entry.parentPath, entry.name);
    const stat = statSync(path, { throwIfNoEntry: false });
    bytes += stat === undefined ? 0 : Math.min(stat.size, stat.blocks * 512);
  }
  return bytes;
}
