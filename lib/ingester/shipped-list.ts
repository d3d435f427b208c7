import { open, readFile, rename } from 'node:fs/promises';
import { join } from 'node:path';

/**
 * Remembers which local blocks of a tenant were stored in the bucket, in the file that Thanos and Cortex keep for that:
 * `thanos.shipper.json`, `{"version":1,"uploaded":["<ULID>",…]}`. It is a hint: before a block is deleted or passed
 * over the bucket is asked. So one that is lost, damaged or old costs requests only.
 */
const FILE = 'thanos.shipper.json';

/** The blocks that were stored; none when the file is missing or no such list. */
export async function readShippedList(directory: string): Promise<ReadonlySet<string>> {
  let text: string;
  try {
    text = await readFile(join(directory, FILE), 'utf8');
  } catch (thrown) {
    const { code } = thrown as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR') return new Set();
    throw thrown;
  }
  return new Set(parseList(text));
}

/** Replaces the list, durably. */
export async function writeShippedList(directory: string, uploaded: readonly string[]): Promise<void> {
  const path = join(directory, FILE);
  const file = await open(`${path}.tmp`, 'w');
  try {
    await file.writeFile(JSON.stringify({ version: 1, uploaded }, null, '\t'));
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(`${path}.tmp`, path);
  const folder = await open(directory, 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

function parseList(text: string): string[] {
  try {
    const { uploaded } = JSON.parse(text) as { readonly uploaded?: unknown };
    return Array.isArray(uploaded) ? uploaded.filter((name) => typeof name === 'string') : [];
  } catch {
    // The bucket is asked instead; the next block that is stored writes the file anew.
    return [];
  }
}
