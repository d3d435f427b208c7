import { JSON_FLAG, type ListedTenant, listBlocksOf, parseSelection, tenantsOf } from './blocks.js';
import { type Command, type Context, EXIT_OK, usageError } from './command.js';
import { showBytes, showCount, showResolution, showSpan, showTable, showTime } from './format.js';

/** `varve bucket ls`: tenants, or the blocks of one. */
export const LS: Command = {
  name: 'ls',
  synopsis: '[TENANT]',
  summary: 'List tenants, or the blocks of a tenant.',
  details: [
    'Marks: deletion (is deleted after a delay), no-compact, no-downsample (is left alone), covered (its samples are in a',
    'merged block too), partial (has no meta.json: an upload in progress, or given up).',
  ],
  flags: [JSON_FLAG],
  argumentsMin: 0,
  argumentsMax: 1,
  settings: [],
  isWriting: false,
  hasTarget: false,
  run: async (context) => {
    const selection = parseSelection(context.args[0]);
    if (selection.ulid !== '') throw usageError('ls takes a tenant; for a block see varve bucket inspect');
    const tenants = await tenantsOf(context.source, selection);
    if (selection.tenant !== '') printBlocks(context, await listBlocksOf(context, selection.tenant));
    else await printTenants(context, tenants);
    return EXIT_OK;
  },
};

function printBlocks({ flags, output }: Context, { listing, blocks }: ListedTenant): void {
  const partials = [...listing.partials.keys()].sort();
  if (flags.has('json')) {
    const json = blocks.map(({ block, bytes, marks }) => ({
      ulid: block.ulid,
      minTime: block.minTime,
      maxTime: block.maxTime,
      resolutionMs: block.facts.resolution,
      level: block.facts.level,
      series: block.facts.series,
      samples: block.facts.samples,
      bytes,
      labels: block.facts.labels,
      source: block.facts.source,
      sources: block.facts.sources,
      uploadedAtMs: block.uploadedAtMs,
      marks,
    }));
    output.print(JSON.stringify({ blocks: json, partials }, null, 2));
    return;
  }
  const rows = blocks.map(({ block: { ulid, minTime, maxTime, facts }, bytes, marks }) => [
    ulid,
    showTime(minTime),
    showTime(maxTime),
    showSpan(maxTime - minTime),
    showResolution(facts.resolution),
    facts.level,
    showCount(facts.series),
    showCount(facts.samples),
    showBytes(bytes),
    marks.join(','),
  ]);
  const dashes = Array.from({ length: 8 }, () => '-');
  output.print(
    showTable(
      [
        ...['BLOCK', 'FROM', 'UNTIL', 'SPAN', 'RES'].map((title) => ({ title })),
        ...['LEVEL', 'SERIES', 'SAMPLES', 'SIZE'].map((title) => ({ title, align: '>' as const })),
        { title: 'MARKS' },
      ],
      [...rows, ...partials.map((ulid) => [ulid, ...dashes, 'partial'])],
    ),
  );
}

async function printTenants(context: Context, tenants: readonly string[]): Promise<void> {
  const { flags, output } = context;
  const found: ListedTenant[] = [];
  for (const tenant of tenants) {
    context.signal.throwIfAborted();
    found.push(await listBlocksOf(context, tenant));
  }
  const rows = found.map(({ tenant, listing, blocks }) => {
    const times = blocks.map(({ block }) => block);
    return {
      tenant,
      blocks: blocks.length,
      partials: listing.partials.size,
      marked: listing.marked.deletion.size,
      minTime: times.length === 0 ? null : Math.min(...times.map(({ minTime }) => minTime)),
      maxTime: times.length === 0 ? null : Math.max(...times.map(({ maxTime }) => maxTime)),
      bytes: blocks.reduce((sum, { bytes }) => sum + bytes, 0),
    };
  });
  if (flags.has('json')) {
    output.print(JSON.stringify({ tenants: rows }, null, 2));
    return;
  }
  output.print(
    showTable(
      [
        { title: 'TENANT' },
        ...['BLOCKS', 'PARTIAL', 'MARKED'].map((title) => ({ title, align: '>' as const })),
        { title: 'FROM' },
        { title: 'UNTIL' },
        { title: 'SIZE', align: '>' },
      ],
      rows.map(({ tenant, blocks, partials, marked, minTime, maxTime, bytes }) => [
        tenant,
        blocks,
        partials,
        marked,
        minTime === null ? '-' : showTime(minTime),
        maxTime === null ? '-' : showTime(maxTime),
        showBytes(bytes),
      ]),
    ),
  );
}
