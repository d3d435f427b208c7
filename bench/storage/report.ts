import type { Agreement } from './agreement.js';
import { bytesRatio, type DashboardFigures, type Panel, type PanelFigures } from './dashboard.js';
import type { IngestFigures } from './ingest.js';
import type { Inventory } from './inventory.js';
import { gigabytes } from './setup.js';

/** The tables of a run, in Markdown, so that they can stand in docs/benchmarks.md as they are. */

function table(head: readonly string[], rows: readonly (readonly string[])[]): void {
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |\n`;
  process.stdout.write(`\n${line(head)}${line(head.map(() => '---'))}${rows.map(line).join('')}\n`);
}

const millis = (value: number) => (value < 10 ? value.toFixed(1) : value.toFixed(0));
const megabytes = (bytes: number) => (bytes / 1e6).toFixed(bytes < 1e6 ? 3 : 1);
const small = (value: number) => (value === 0 ? '0' : value.toExponential(1));

export function printIngest(figures: IngestFigures, processes: number, settledSeconds: number): void {
  const { samples, sendSeconds, seconds, feederCpuSeconds, cpuSeconds, peakRssBytes } = figures;
  process.stdout.write(
    `${(samples / 1e6).toFixed(1)} M samples sent to each of ${processes} in ${sendSeconds.toFixed(0)} s ` +
      `(${((samples * processes) / sendSeconds / 1e6).toFixed(2)} M/s; ${feederCpuSeconds.toFixed(0)} s of CPU to make them); ` +
      `all blocks stored after ${seconds.toFixed(0)} s, all compacted and downsampled ${settledSeconds.toFixed(0)} s later; ` +
      `CPU of Varve until the last block ${cpuSeconds.toFixed(0)} s, peak RSS ${gigabytes(peakRssBytes)}\n`,
  );
}

export function printInventory({ levels, bytes, replaced }: Inventory): void {
  table(
    ['level', 'blocks', 'samples or windows', 'MB', 'bytes each', 'bytes per raw sample'],
    levels.map(({ name, blocks, samples, bytes: size, rawSamples }) => [
      name,
      String(blocks),
      samples.toLocaleString('en'),
      megabytes(size),
      samples === 0 ? '' : (size / samples).toFixed(3),
      rawSamples === 0 ? '' : (size / rawSamples).toFixed(4),
    ]),
  );
  process.stdout.write(
    `bucket: ${gigabytes(bytes)} in use; ${replaced} replaced blocks wait for their deletion\n`,
  );
}

export function printPanels(panels: readonly Panel[], dashboards: readonly DashboardFigures[]): void {
  const cells = (figures: Omit<PanelFigures, 'name' | 'query' | 'infos' | 'warmBytes' | 'warmRequests'>) => [
    millis(figures.coldMs),
    millis(figures.warmMs),
    String(figures.requests),
    megabytes(figures.bytes),
  ];
  const rows = panels.map(({ name, auto, raw, difference }) => [
    name,
    ...cells(auto),
    ...cells(raw),
    `${(raw.bytes / auto.bytes).toFixed(1)} ×`,
    small(difference.relativeMax),
  ]);
  const [auto, raw] = [
    dashboards.find(({ mode }) => mode === 'auto'),
    dashboards.find(({ mode }) => mode === '0s'),
  ];
  if (auto !== undefined && raw !== undefined) {
    rows.push([
      '**all at once**',
      ...cells(auto),
      ...cells(raw),
      `**${(raw.bytes / auto.bytes).toFixed(1)} ×**`,
      '',
    ]);
  }
  const head = (what: string) => [`${what} cold ms`, 'warm ms', 'requests', 'MB'];
  table(['panel', ...head('auto:'), ...head('raw:'), 'bytes', 'largest difference'], rows);
  for (const kind of ['moving', 'plain', 'still'] as const) {
    process.stdout.write(`${kind} values: ${bytesRatio(panels, kind).toFixed(1)} × less than raw\n`);
  }
  for (const { mode, bytesByKind } of dashboards) {
    const kinds = Object.entries(bytesByKind).map(([kind, bytes]) => `${kind} ${megabytes(bytes)} MB`);
    process.stdout.write(`${mode === 'auto' ? 'auto' : 'raw'}: ${kinds.join(', ')}\n`);
  }
  const infos = new Set(panels.flatMap((panel) => panel.auto.infos));
  for (const info of infos) process.stdout.write(`info: ${info}\n`);
}

export function printAgreement(found: readonly Agreement[]): void {
  table(
    ['function', 'samples', 'values', 'missing', 'added', 'largest', 'p99', 'median', 'differ', 'bias', ''],
    found.map(({ func, placement, difference, isGood }) => [
      func,
      placement,
      difference.points.toLocaleString('en'),
      String(difference.missing),
      String(difference.added),
      small(difference.relativeMax),
      small(difference.p99),
      small(difference.p50),
      `${(100 * difference.inexact).toFixed(1)} %`,
      small(difference.bias),
      isGood ? '' : 'outside the tolerance',
    ]),
  );
  for (const { func, placement, difference } of found) {
    if (difference.worst !== '') process.stdout.write(`${func}, ${placement}: ${difference.worst}\n`);
  }
}
