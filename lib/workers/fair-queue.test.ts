import { describe, expect, test } from '@jest/globals';
import { FairQueue } from './fair-queue.js';

function queueOf(...items: readonly (readonly [tenant: string, item: string])[]): FairQueue<string> {
  const queue = new FairQueue<string>();
  for (const [tenant, item] of items) queue.push(tenant, item);
  return queue;
}

function drain(queue: FairQueue<string>): string[] {
  const order: string[] = [];
  for (let item = queue.shift(); item !== undefined; item = queue.shift()) order.push(item);
  return order;
}

describe('FairQueue', () => {
  test('serves a small tenant before the backlog of a big one', () => {
    const queue = queueOf(['big', '1'], ['big', '2'], ['big', '3'], ['small', 's'], ['big', '4']);
    expect(drain(queue)).toEqual(['1', 's', '2', '3', '4']);
  });

  test('serves tenants in turn', () => {
    const queue = queueOf(['a', 'a1'], ['a', 'a2'], ['b', 'b1'], ['b', 'b2'], ['c', 'c1']);
    expect(drain(queue)).toEqual(['a1', 'b1', 'c1', 'a2', 'b2']);
  });

  test('passes tenants over that may not be served, and keeps their places', () => {
    const queue = queueOf(['a', 'a1'], ['b', 'b1'], ['c', 'c1']);
    expect(queue.shift((tenant) => tenant !== 'a')).toBe('b1');
    expect(drain(queue)).toEqual(['a1', 'c1']);
    expect(queue.shift(() => false)).toBeUndefined();
  });

  test('forgets items that were taken out', () => {
    const queue = queueOf(['a', 'a1'], ['a', 'a2']);
    expect(queue.remove('a', 'a1')).toBe(true);
    expect(queue.remove('a', 'a1')).toBe(false);
    expect(queue.size).toBe(1);
    expect(queue.sizeOf('a')).toBe(1);
    expect(drain(queue)).toEqual(['a2']);
  });
});
