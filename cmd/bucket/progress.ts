import type { Clock } from '../../lib/clock/index.js';
import type { Output } from './command.js';
import { showBytes, showCount, showSpan } from './format.js';

const INTERVAL_MS = 5000;

/** Tells every few seconds how far a long run has come; short ones stay silent. */
export class Progress {
  readonly #output: Output;
  readonly #clock: Clock;
  readonly #verb: string;
  readonly #blocksTotal: number;
  readonly #startMs: number;
  #toldMs: number;
  #blocks: number;
  #bytes: number;

  /** @param verb such as `copied` */
  constructor(parts: { readonly output: Output; readonly clock: Clock }, verb: string, blocksTotal: number) {
    this.#output = parts.output;
    this.#clock = parts.clock;
    this.#verb = verb;
    this.#blocksTotal = blocksTotal;
    this.#startMs = parts.clock.monotonicMs();
    this.#toldMs = this.#startMs;
    this.#blocks = 0;
    this.#bytes = 0;
  }

  get bytes(): number {
    return this.#bytes;
  }

  addBytes(count: number): void {
    this.#bytes += count;
    this.#tell();
  }

  addBlock(): void {
    this.#blocks++;
    this.#tell();
  }

  #tell(): void {
    const nowMs = this.#clock.monotonicMs();
    if (nowMs - this.#toldMs < INTERVAL_MS) return;
    this.#toldMs = nowMs;
    const passedMs = nowMs - this.#startMs;
    const leftMs = this.#blocks === 0 ? 0 : (passedMs / this.#blocks) * (this.#blocksTotal - this.#blocks);
    const left = this.#blocks === 0 ? '' : `, about ${showSpan(leftMs)} left`;
    const rate = showBytes((this.#bytes / passedMs) * 1000);
    this.#output.tell(
      `${this.#verb} ${showCount(this.#blocks)} of ${showCount(this.#blocksTotal)} blocks, ` +
        `${showBytes(this.#bytes)}, ${rate}/s${left}`,
    );
  }
}
