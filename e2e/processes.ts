import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/**
 * Starts real programs, waits until they answer, reads their log and ends them. Every program that was started here is
 * killed when the test process exits; suites also call `stopAll` themselves, because a test runner's `exit` event may
 * not reach its sandbox.
 */

export interface ProgramOptions {
  readonly name: string;
  readonly binary: string;
  readonly args: readonly string[];
  /** Folder for the log file. */
  readonly folder: string;
  /** The program is ready when a GET of this address answers 200. */
  readonly readyUrl: string;
  readonly readyTimeoutMs?: number;
  readonly env?: Readonly<Record<string, string>>;
}

export interface Program {
  readonly name: string;
  readonly pid: number;
  readonly logFile: string;
  /** True until the process has ended. */
  running(): boolean;
  /** SIGTERM, then waits; SIGKILL after the grace time. Returns the exit code, or -1 when a signal ended it. */
  stop(graceMs?: number): Promise<number>;
  /** SIGKILL, and waits for the end. */
  kill(): Promise<void>;
}

const running = new Set<ChildProcess>();
const folders = new Set<string>();

process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});

/** Ends every program that is still running. */
export async function stopAll(): Promise<void> {
  await Promise.all([...running].map((child) => endOf(child, 'SIGKILL', 10_000)));
  if (process.env['KEEP_TMP'] === undefined) {
    for (const folder of folders) rmSync(folder, { recursive: true, force: true });
  }
  folders.clear();
}

/** A new folder below the system's temporary one; removed by `stopAll` unless KEEP_TMP is set. */
export function makeFolder(name: string): string {
  const folder = mkdtempSync(join(tmpdir(), `varve-${name}-`));
  folders.add(folder);
  return folder;
}

/** A TCP port of the loopback interface that was free a moment ago. */
export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      const port = typeof address === 'object' && address !== null ? address.port : 0;
      server.close(() => resolve(port));
    });
  });
}

/** Starts a program and waits until it is ready. @throws with the end of its log when it ends or stays silent. */
export async function startProgram(options: ProgramOptions): Promise<Program> {
  mkdirSync(options.folder, { recursive: true });
  const logFile = join(options.folder, `${options.name}.log`);
  const log = openSync(logFile, 'a');
  const child = spawn(options.binary, [...options.args], {
    stdio: ['ignore', log, log],
    env: { ...process.env, ...options.env },
  });
  let failure: Error | null = null;
  child.once('error', (error) => {
    failure = error;
    running.delete(child);
  });
  child.once('exit', () => running.delete(child));
  running.add(child);

  const timeoutMs = options.readyTimeoutMs ?? 60_000;
  const deadline = Date.now() + timeoutMs;
  for (;;) {
    const code = child.exitCode ?? child.signalCode;
    if (failure !== null || code !== null || Date.now() > deadline) {
      child.kill('SIGKILL');
      const why = failure ?? (code === null ? `not ready within ${timeoutMs} ms` : `ended with ${code}`);
      throw new Error(`${options.name}: ${String(why)}\n${tailOf(logFile)}`);
    }
    if (await answers(options.readyUrl)) break;
    await pause(20);
  }
  return {
    name: options.name,
    pid: child.pid ?? 0,
    logFile,
    running: () => child.exitCode === null && child.signalCode === null,
    stop: (graceMs = 60_000) => endOf(child, 'SIGTERM', graceMs),
    kill: async () => {
      await endOf(child, 'SIGKILL', 10_000);
    },
  };
}

/** The last lines of a log file. */
export function tailOf(logFile: string, lines = 30): string {
  return readFileSync(logFile, 'utf8').trimEnd().split('\n').slice(-lines).join('\n');
}

/** Waits; only for polling real processes. */
export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** Polls until the condition holds. @throws naming what was waited for after the time-out. */
export async function waitFor(
  what: string,
  condition: () => Promise<boolean>,
  timeoutMs = 30_000,
): Promise<void> {
  const deadline = Date.now() + timeoutMs;
  while (!(await condition())) {
    if (Date.now() > deadline) throw new Error(`waited ${timeoutMs} ms in vain for: ${what}`);
    await pause(50);
  }
}

async function answers(url: string): Promise<boolean> {
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(2000) });
    await response.arrayBuffer();
    return response.status === 200;
  } catch {
    return false; // Not listening yet.
  }
}

function endOf(child: ChildProcess, signal: NodeJS.Signals, graceMs: number): Promise<number> {
  return new Promise((resolve) => {
    if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) {
      resolve(child.exitCode ?? -1);
      return;
    }
    const timer = setTimeout(() => child.kill('SIGKILL'), graceMs);
    child.once('exit', (code) => {
      clearTimeout(timer);
      resolve(code ?? -1);
    });
    child.kill(signal);
  });
}
