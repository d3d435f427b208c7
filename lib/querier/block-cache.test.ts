import { expect, test } from '@jest/globals';
import { BlockCache } from './block-cache.js';
import type { BlockDescriptor } from './sources.js';

function block(directory: string): BlockDescriptor {
  return { kind: 'block', directory, ulid: directory, minTimeMs: 0, maxTimeMs: 1 };
}

test('BlockCache keeps the blocks used last and drops vanished ones', () => {
  const events: string[] = [];
  const gone = new Set<string>();
  const cache = new BlockCache(
    (directory) => {
      events.push(`open ${directory}`);
      return { directory, close: () => events.push(`close ${directory}`) };
    },
    (directory) => !gone.has(directory),
    2,
  );
  for (const name of ['a', 'b', 'c', 'a']) expect(cache.get(block(name)).directory).toBe(name);
  expect(events).toEqual(['open a', 'open b', 'open c']);
  cache.trim();
  expect(events.splice(0)).toEqual(['open a', 'open b', 'open c', 'close b']);
  gone.add('a');
  cache.sweep();
  expect(cache.size).toBe(1);
  gone.clear();
  cache.get(block('a'));
  expect(events).toEqual(['close a', 'open a']);
});
