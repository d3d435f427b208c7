/** Durations and byte sizes as Prometheus' users write them: `1h30m`, `15s`, `100MiB`. */

const DURATION = /^(?:(\d+)y)?(?:(\d+)w)?(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?(?:(\d+)ms)?$/;
const UNITS: readonly (readonly [name: string, ms: number, exactOnly: boolean])[] = [
  ['y', 365 * 86_400_000, true],
  ['w', 7 * 86_400_000, true],
  ['d', 86_400_000, true],
  ['h', 3_600_000, false],
  ['m', 60_000, false],
  ['s', 1000, false],
  ['ms', 1, false],
];
/** Prometheus keeps durations in int64 nanoseconds. */
const DURATION_MS_MAX = 9_223_372_036_854;

/** Milliseconds of a duration such as `2h`, `1d12h`, `0`; null when the text is none or overflows 292 years. */
export function parseDuration(text: string): number | null {
  if (text === '0') return 0;
  const found = DURATION.exec(text);
  if (text === '' || found === null) return null;
  let ms = 0;
  for (let i = 0; i < UNITS.length; i++) {
    const count = found[i + 1];
    if (count !== undefined) ms += Number(count) * UNITS[i]![1];
  }
  return ms > DURATION_MS_MAX ? null : ms;
}

/** The shortest text that `parseDuration` reads back: weeks and days only when they divide evenly. */
export function formatDuration(ms: number): string {
  if (ms === 0) return '0s';
  let rest = ms;
  let text = '';
  for (const [name, unitMs, exactOnly] of UNITS) {
    if (exactOnly && rest % unitMs !== 0) continue;
    const count = Math.floor(rest / unitMs);
    if (count > 0) text += `${count}${name}`;
    rest -= count * unitMs;
  }
  return text;
}

const BYTE_UNITS: Readonly<Record<string, number>> = {
  '': 1,
  b: 1,
  kb: 1e3,
  mb: 1e6,
  gb: 1e9,
  tb: 1e12,
  kib: 2 ** 10,
  mib: 2 ** 20,
  gib: 2 ** 30,
  tib: 2 ** 40,
};

/** Bytes of a size such as `100MiB`, `1.5GB` or `4096`; null when the text is none. */
export function parseByteSize(text: string): number | null {
  const found = /^(\d+(?:\.\d+)?)\s*([a-z]*)$/i.exec(text.trim());
  if (found === null) return null;
  const unit = BYTE_UNITS[found[2]!.toLowerCase()];
  if (unit === undefined) return null;
  const bytes = Math.round(Number(found[1]) * unit);
  return Number.isSafeInteger(bytes) ? bytes : null;
}

/** Whole binary units when they divide evenly, else plain bytes. */
export function formatByteSize(bytes: number): string {
  for (const unit of ['TiB', 'GiB', 'MiB', 'KiB']) {
    const size = BYTE_UNITS[unit.toLowerCase()]!;
    if (bytes >= size && bytes % size === 0) return `${bytes / size}${unit}`;
  }
  return String(bytes);
}
