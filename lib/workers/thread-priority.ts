import { readlinkSync } from 'node:fs';
import { getPriority, setPriority } from 'node:os';

const NICE_MAX = 19;

/**
 * Makes the calling thread give way to the process' other threads: on Linux the system call behind `setPriority` means
 * one thread when it is given a thread's id. Elsewhere nothing happens.
 * @param steps how far below the process' own priority; each step is about a tenth of the share of a processor
 * @returns whether it was possible
 */
export function lowerThreadPriority(steps: number): boolean {
  if (process.platform !== 'linux') return false;
  try {
    // `<process id>/task/<thread id>` of whoever reads it; a synchronous call reads in this very thread.
    const threadId = Number(readlinkSync('/proc/thread-self').split('/').at(-1));
    if (!Number.isSafeInteger(threadId) || threadId <= 0) return false;
    setPriority(threadId, Math.min(NICE_MAX, getPriority(threadId) + steps));
    return true;
  } catch {
    return false; // No /proc, or a sandbox forbids the call: threads stay equal.
  }
}
