import { JSON_FLAG, type ListedBlock, listBlocksOf, parseSelection, tenantsOf } from './blocks.js';
import { type Command, EXIT_OK, usageError } from './command.js';
import { showBytes, showCount, showRatio, showResolution, showSpan, showTable, showTime } from './format.js';

/** Figures of the blocks of one tenant and resolution; of those with a deletion mark only number and bytes. */
export interface Totals {
  readonly tenant: string;
  readonly resolutionMs: number;
  readonly blocks: number;
  /** Of the block with the most. */
  readonly seriesMax: number;
  readonly samples: number;
  readonly bytes: number;
  /** Null without samples. */
  readonly bytesPerSample: number | null;
  /** Null without blocks. */
  readonly minTime: number | null;
  readonly maxTime: number | null;
  /** Time that at least one block covers, ms. */
  readonly coveredMs: number;
  /** What the spans of the blocks come to beyond that, ms: time that is in two blocks counts once, in three twice. */
  readonly overlapMs: number;
  readonly markedBlocks: number;
  readonly markedBytes: number;
}

/** `varve bucket stats`: totals per tenant and resolution. */
export const STATS: Command = {
  name: 'stats',
  synopsis: '[TENANT]',
  summary: 'Show totals per tenant and resolution.',
  details: [
    'Blocks with a deletion mark count under MARKED only. COVERED is the time that blocks cover, OVERLAP what they cover',
    'twice; SERIES those of the block with the most.',
  ],
  flags: [JSON_FLAG],
  argumentsMin: 0,
  argumentsMax: 1,
  settings: [],
  isWriting: false,
  hasTarget: false,
  run: async (context) => {
    const selection = parseSelection(context.args[0]);
    if (selection.ulid !== '') throw usageError('stats takes a tenant; for a block see varve bucket inspect');
    const rows: Totals[] = [];
    for (const tenant of await tenantsOf(context.source, selection)) {
      context.signal.throwIfAborted();
      rows.push(...totalsOf(tenant, (await listBlocksOf(context, tenant)).blocks));
    }
    context.output.print(context.flags.has('json') ? JSON.stringify(rows, null, 2) : tableOf(rows));
    return EXIT_OK;
  },
};

/** A row per resolution, the finest first. */
export function totalsOf(tenant: string, blocks: readonly ListedBlock[]): Totals[] {
  const resolutions = [...new Set(blocks.map(({ block }) => block.facts.resolution))].sort((a, b) => a - b);
  return resolutions.map((resolutionMs) => {
    const all = blocks.filter(({ block }) => block.facts.resolution === resolutionMs);
    const kept = all.filter(({ marks }) => !marks.includes('deletion'));
    const marked = all.filter(({ marks }) => marks.includes('deletion'));
    const sum = (of: (block: ListedBlock) => number, list = kept): number =>
      list.reduce((total, block) => total + of(block), 0);
    const samples = sum(({ block }) => block.facts.samples);
    const bytes = sum((block) => block.bytes);
    const coveredMs = unionOf(kept);
    return {
      tenant,
      resolutionMs,
      blocks: kept.length,
      seriesMax: kept.reduce((most, { block }) => Math.max(most, block.facts.series), 0),
      samples,
      bytes,
      bytesPerSample: samples === 0 ? null : bytes / samples,
      minTime: kept.length === 0 ? null : Math.min(...kept.map(({ block }) => block.minTime)),
      maxTime: kept.length === 0 ? null : Math.max(...kept.map(({ block }) => block.maxTime)),
      coveredMs,
      overlapMs: sum(({ block }) => block.maxTime - block.minTime) - coveredMs,
      markedBlocks: marked.length,
      markedBytes: sum((block) => block.bytes, marked),
    };
  });
}

function unionOf(blocks: readonly ListedBlock[]): number {
  let covered = 0;
  let end = Number.NEGATIVE_INFINITY;
  for (const { block } of [...blocks].sort((a, b) => a.block.minTime - b.block.minTime)) {
    covered += Math.max(0, block.maxTime - Math.max(end, block.minTime));
    end = Math.max(end, block.maxTime);
  }
  return covered;
}

function tableOf(rows: readonly Totals[]): string {
  const figures = (...titles: string[]) => titles.map((title) => ({ title, align: '>' as const }));
  return showTable(
    [
      { title: 'TENANT' },
      { title: 'RES' },
      ...figures('BLOCKS', 'SERIES', 'SAMPLES', 'SIZE', 'B/SAMPLE'),
      { title: 'FROM' },
      { title: 'UNTIL' },
      ...figures('COVERED', 'OVERLAP', 'MARKED'),
    ],
    rows.map((row) => [
      row.tenant,
      showResolution(row.resolutionMs),
      row.blocks,
      showCount(row.seriesMax),
      showCount(row.samples),
      showBytes(row.bytes),
      showRatio(row.bytes, row.samples),
      row.minTime === null ? '-' : showTime(row.minTime),
      row.maxTime === null ? '-' : showTime(row.maxTime),
      showSpan(row.coveredMs),
      showSpan(row.overlapMs),
      row.markedBlocks === 0 ? '0' : `${row.markedBlocks} (${showBytes(row.markedBytes)})`,
    ]),
  );
}
