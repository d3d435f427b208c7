import { fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { SendPlan, SendResult } from './sender.js';

/** Sends a corpus from a process of its own, so that its CPU time is nobody else's. */
export function send(plan: SendPlan): Promise<SendResult> {
  return new Promise((resolve, reject) => {
    const child = fork(fileURLToPath(new URL('./sender.js', import.meta.url)), { serialization: 'advanced' });
    let result: SendResult | null = null;
    child.once('message', (message) => {
      result = message as SendResult;
    });
    child.once('error', reject);
    child.once('exit', (code) => {
      if (result !== null) resolve(result);
      else reject(new Error(`the sender ended with code ${code} before it was done`));
    });
    child.send(plan);
  });
}
