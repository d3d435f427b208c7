import { listBlockFiles } from '../../lib/blocktransfer/index.js';
import { MARK_KINDS, metaName, readMark } from '../../lib/bucketindex/index.js';
import { BlockReader } from '../../lib/tsdb/block/index.js';
import { ENCODING } from '../../lib/tsdb/chunk/index.js';
import { SeriesEntry } from '../../lib/tsdb/index/index.js';
import { bytesOf, parseBlock, TEMP_FLAG, withLocalBlock } from './blocks.js';
import { type Command, type Context, EXIT_OK, EXIT_PROBLEM } from './command.js';
import { Findings, isCorruption } from './findings.js';
import { type Column, showBytes, showCount, showRatio, showSpan, showTable, showTime } from './format.js';
import { Progress } from './progress.js';

/** Label names that are listed. */
const NAMES_MAX = 20;

/** `varve bucket inspect`: what one block consists of. */
export const INSPECT: Command = {
  name: 'inspect',
  synopsis: 'TENANT/ULID',
  summary: 'Show what a block consists of: meta.json, files, labels, chunks.',
  details: ['Reads all of the block.'],
  flags: [TEMP_FLAG],
  argumentsMin: 1,
  argumentsMax: 1,
  settings: [],
  isWriting: false,
  hasTarget: false,
  run: inspect,
};

const ENCODING_NAMES: ReadonlyMap<number, string> = new Map(
  Object.entries(ENCODING).map(([name, encoding]) => [encoding, name]),
);

async function inspect(context: Context): Promise<number> {
  const { source, output } = context;
  const selection = parseBlock(context.args[0]!);
  const { tenant, ulid } = selection;
  const files = await listBlockFiles(source.bucket, tenant, ulid);
  const meta = Buffer.from(await source.bucket.get(metaName(tenant, ulid))).toString('utf8');
  output.print(`${tenant}/${ulid} in ${source.title}\n\n${meta.trimEnd()}\n`);
  for (const kind of MARK_KINDS) {
    const mark = await readMark(source.bucket, tenant, ulid, kind);
    if (mark === null) continue;
    const why = [mark.reason, mark.details].filter((text) => text !== '').join(': ');
    output.print(`${kind} mark of ${showTime(mark.timeSeconds * 1000)}${why === '' ? '' : `, ${why}`}\n`);
  }
  const fileRows = [...files].sort((a, b) => (a.path < b.path ? -1 : 1));
  output.print(
    showTable(
      [{ title: 'FILE' }, { title: 'BYTES', align: '>' }, { title: 'SIZE', align: '>' }],
      fileRows.map(({ path, byteCount }) => [path, showCount(byteCount), showBytes(byteCount)]),
    ),
  );
  const progress = new Progress(context, 'fetched', 1);
  const onBytes = (byteCount: number): void => progress.addBytes(byteCount);
  const figures = await withLocalBlock(context, selection, files, onBytes, (directory) => {
    try {
      return measure(directory);
    } catch (error) {
      if (!isCorruption(error)) throw error;
      new Findings(output).corruption(`${tenant}/${ulid}`, error, directory);
      return null;
    }
  });
  if (figures === null) return EXIT_PROBLEM;
  printFigures(context, figures, bytesOf(files));
  return EXIT_OK;
}

interface Figures {
  readonly symbols: number;
  readonly series: number;
  readonly samples: number;
  readonly span: number;
  /** Per label name: values, and series that have it. */
  readonly labels: readonly { readonly name: string; readonly values: number; readonly series: number }[];
  /** Chunks of each series, ascending. */
  readonly chunkCounts: Uint32Array;
  /** Chunks and their bytes by encoding. */
  readonly encodings: ReadonlyMap<number, { chunks: number; bytes: number }>;
}

function measure(directory: string): Figures {
  const block = BlockReader.open(directory);
  try {
    const { index, chunks, meta } = block;
    const all = index.allPostings();
    const chunkCounts = new Uint32Array(all.length);
    const encodings = new Map<number, { chunks: number; bytes: number }>();
    const seriesOfName = new Map<number, number>();
    const entry = new SeriesEntry();
    for (let i = 0; i < all.length; i++) {
      index.series(all[i]!, entry);
      chunkCounts[i] = entry.chunkCount;
      for (let l = 0; l < entry.labelCount; l++) {
        const name = entry.labels[l * 2]!;
        seriesOfName.set(name, (seriesOfName.get(name) ?? 0) + 1);
      }
      for (let c = 0; c < entry.chunkCount; c++) {
        const { encoding, data } = chunks.read(entry.chunkRefs[c]!);
        const figures = encodings.get(encoding) ?? { chunks: 0, bytes: 0 };
        encodings.set(encoding, { chunks: figures.chunks + 1, bytes: figures.bytes + data.length });
      }
    }
    const labels = index.labelNames().map((name) => ({
      name,
      values: index.postingsTable.values(name).values.length,
      series: seriesOfName.get(index.symbols.find(name)) ?? 0,
    }));
    return {
      symbols: index.symbols.count,
      series: all.length,
      samples: meta.stats.numSamples ?? 0,
      span: meta.maxTime - meta.minTime,
      labels: labels.sort((a, b) => b.values - a.values || (a.name < b.name ? -1 : 1)),
      chunkCounts: chunkCounts.sort(),
      encodings,
    };
  } finally {
    block.close();
  }
}

function printFigures({ output }: Context, figures: Figures, bytes: number): void {
  const { chunkCounts, labels, samples } = figures;
  const chunks = chunkCounts.reduce((sum, count) => sum + count, 0);
  const at = (share: number): number => chunkCounts[Math.floor((chunkCounts.length - 1) * share)] ?? 0;
  const facts: readonly (readonly [string, string])[] = [
    ['span', showSpan(figures.span)],
    ['series', showCount(figures.series)],
    ['samples', showCount(samples)],
    ['size', `${showBytes(bytes)}, ${showRatio(bytes, samples)} bytes per sample`],
    ['symbols', showCount(figures.symbols)],
    ['label names', showCount(labels.length)],
    ['chunks', `${showCount(chunks)}, ${showRatio(samples, chunks)} samples each`],
    ['chunks per series', `least ${at(0)}, median ${at(0.5)}, 99 % ${at(0.99)}, most ${at(1)}`],
  ];
  const width = Math.max(...facts.map(([name]) => name.length));
  output.print(`\n${facts.map(([name, text]) => `${name.padEnd(width)}  ${text}`).join('\n')}\n`);
  const right = (title: string): Column => ({ title, align: '>' });
  output.print(
    showTable(
      [{ title: 'ENCODING' }, right('CHUNKS'), right('SIZE'), right('B/CHUNK')],
      [...figures.encodings].map(([encoding, found]) => [
        ENCODING_NAMES.get(encoding) ?? `encoding ${encoding}`,
        showCount(found.chunks),
        showBytes(found.bytes),
        showRatio(found.bytes, found.chunks),
      ]),
    ),
  );
  const shown = labels.slice(0, NAMES_MAX);
  const rest = labels.length > shown.length ? `\n… and ${labels.length - shown.length} more` : '';
  output.print(
    `\n${showTable(
      [{ title: 'LABEL' }, right('VALUES'), right('SERIES')],
      shown.map(({ name, values, series }) => [name, showCount(values), showCount(series)]),
    )}${rest}`,
  );
}
