import { readFileSync } from 'node:fs';
import { callForHelp, serveTasks } from '../serve.js';
import { lowerThreadPriority } from '../thread-priority.js';

/** A thread for the pool's tests: does what the payload says. */
serveTasks(
  async (payload, context) => {
    const { action, text } = payload as { action: string; text: string };
    switch (action) {
      case 'crash':
        process.exit(3);
        break;
      case 'throw':
        throw new Error(text);
      case 'spin':
        while (!context.isCancelled() && performance.now() < context.deadlineMs);
        return { value: 'stopped', transfer: [] };
      case 'nice': {
        const done = lowerThreadPriority(Number(text));
        const stat = readFileSync('/proc/thread-self/stat', 'utf8');
        return { value: [done, Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[16])], transfer: [] };
      }
      case 'hang':
        for (;;);
      case 'call': {
        const words = new Int32Array(new SharedArrayBuffer(8));
        callForHelp(words, 1);
        Atomics.wait(words, 0, 0, Number(text));
        return { value: Atomics.load(words, 0) === 0 ? 'nobody' : 'helped', transfer: [] };
      }
      default:
        return { value: text, transfer: [] };
    }
  },
  (request, isWanted) => {
    const words = request as Int32Array;
    Atomics.store(words, 0, 1);
    Atomics.notify(words, 0);
    while (!isWanted());
    throw new Error('a helper may fail');
  },
);
