import { readFileSync } from 'node:fs';
import { serveTasks } from '../serve.js';
import { lowerThreadPriority } from '../thread-priority.js';

/** A thread for the pool's tests: does what the payload says. */
serveTasks(async (payload, context) => {
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
    default:
      return { value: text, transfer: [] };
  }
});
