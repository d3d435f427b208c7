import { type ChildProcess, fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { FeedPlan, FeedResult, FeedSpan } from './feeder.js';

/** A process that makes and sends samples: see feeder.ts. */
export class Feed {
  readonly #child: ChildProcess;

  constructor(plan: FeedPlan) {
    this.#child = fork(fileURLToPath(new URL('./feeder.js', import.meta.url)));
    this.#child.send(plan);
  }

  /** Sends the samples of some rounds; spans have to follow one another. */
  send(span: FeedSpan): Promise<FeedResult> {
    return new Promise((resolve, reject) => {
      const child = this.#child;
      const ended = (code: number | null) => reject(new Error(`the feeding process ended with code ${code}`));
      child.once('exit', ended);
      child.once('message', (message) => {
        child.off('exit', ended);
        resolve(message as FeedResult);
      });
      child.send(span);
    });
  }

  close(): void {
    if (this.#child.connected) this.#child.disconnect();
  }
}
