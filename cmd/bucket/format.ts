import { formatDuration } from '../../lib/settings/index.js';

/** How figures are shown to people, and tables of them. */

const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'];

/** `1.5 GiB`: three digits or so. */
export function showBytes(byteCount: number): string {
  let value = byteCount;
  let unit = 0;
  while (value >= 1000 && unit < UNITS.length - 1) {
    value /= 1024;
    unit++;
  }
  const digits = unit === 0 || value >= 100 ? 0 : value >= 10 ? 1 : 2;
  return `${value.toFixed(digits)} ${UNITS[unit]!}`;
}

/** `1 234 567`. */
export function showCount(count: number): string {
  return String(count).replace(/\B(?=(\d{3})+$)/g, ' ');
}

/** `2026-01-31T22:00Z`, with seconds and milliseconds where there are any. */
export function showTime(ms: number): string {
  const date = new Date(ms);
  if (Number.isNaN(date.getTime())) return `${ms} ms`;
  return date
    .toISOString()
    .replace(/\.000Z$/, 'Z')
    .replace(/:00Z$/, 'Z');
}

/** A span rounded to two units: `2h`, `30d`, `1d12h`. */
export function showSpan(ms: number): string {
  const unit = [86_400_000, 3_600_000, 60_000, 1000].find((each) => ms >= each) ?? 1;
  const finer = unit === 86_400_000 ? 3_600_000 : unit === 3_600_000 ? 60_000 : unit === 1 ? 1 : 1000;
  return formatDuration(Math.round(ms / finer) * finer);
}

/** `raw`, `5m`, `1h`, `1d`. */
export function showResolution(ms: number): string {
  return ms === 0 ? 'raw' : formatDuration(ms);
}

/** Bytes per sample, two digits; `-` without samples. */
export function showRatio(bytes: number, samples: number): string {
  return samples === 0 ? '-' : (bytes / samples).toFixed(2);
}

/** A number and its noun. */
export function showNumber(count: number, one: string, many = `${one}s`): string {
  return `${showCount(count)} ${count === 1 ? one : many}`;
}

/** A column: its heading, and `>` for one of figures, which end at the right. */
export interface Column {
  readonly title: string;
  readonly align?: '>' | '<';
}

/** Lines of a table with two spaces between its columns. */
export function showTable(
  columns: readonly Column[],
  rows: readonly (readonly (string | number)[])[],
): string {
  const cells = [columns.map(({ title }) => title), ...rows.map((row) => row.map(String))];
  const widths = columns.map((_, i) => Math.max(...cells.map((row) => row[i]!.length)));
  return cells
    .map((row) =>
      row
        .map((cell, i) => (columns[i]!.align === '>' ? cell.padStart(widths[i]!) : cell.padEnd(widths[i]!)))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}
