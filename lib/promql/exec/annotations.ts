import type { PositionRange } from '../parse/index.js';

/** Details of a note that stand behind its text. Notes of equal texts are one, whose details cover all of them. */
export interface NoteDetails {
  /** These together with those of another note of the same text. */
  merge(other: this): this;
  toString(): string;
}

interface Entry {
  text: string;
  pos: PositionRange | null;
  /** How often it was given; null where that is not told. */
  count: number | null;
  details?: NoteDetails;
}

/**
 * Warnings and infos of one query. Equal texts are kept once, with the position of the last; the texts get Prometheus'
 * prefix and ` (line:column)` when listed.
 */
export class Annotations {
  private readonly warnings = new Map<string, Entry>();
  private readonly infos = new Map<string, Entry>();
  private readonly query: Buffer;

  constructor(query: string) {
    this.query = Buffer.from(query);
  }

  warn(text: string, pos: PositionRange): void {
    this.warnings.set(text, { text: `PromQL warning: ${text}`, pos, count: null });
  }

  /** A warning that says how often it was given, if more than once. */
  warnCounted(text: string, pos: PositionRange): void {
    const count = (this.warnings.get(text)?.count ?? 0) + 1;
    this.warnings.set(text, { text: `PromQL warning: ${text}`, pos, count });
  }

  info(text: string, pos: PositionRange): void {
    this.infos.set(text, { text: `PromQL info: ${text}`, pos, count: null });
  }

  /** An info with details. Notes of one text have details of one kind. */
  infoWithDetails<T extends NoteDetails>(text: string, details: T, pos: PositionRange): void {
    const known = this.infos.get(text)?.details as T | undefined;
    const merged = known === undefined ? details : known.merge(details);
    this.infos.set(text, { text: `PromQL info: ${text}`, pos, count: null, details: merged });
  }

  /** A note that is not about an expression, such as one from storage. */
  note(text: string): void {
    this.warnings.set(text, { text, pos: null, count: null });
  }

  listWarnings(): string[] {
    return [...this.warnings.values()].map((entry) => this.format(entry));
  }

  listInfos(): string[] {
    return [...this.infos.values()].map((entry) => this.format(entry));
  }

  private format(entry: Entry): string {
    const times = entry.count !== null && entry.count > 1 ? ` (${entry.count} occurrences)` : '';
    const text = entry.text + times;
    if (entry.pos === null || this.query.length === 0) return text;
    let line = 1;
    let lineBegin = 0;
    for (let i = this.query.indexOf(10); i >= 0 && i < entry.pos.start; i = this.query.indexOf(10, i + 1)) {
      line++;
      lineBegin = i + 1;
    }
    return `${text}${entry.details ?? ''} (${line}:${entry.pos.start - lineBegin + 1})`;
  }
}
