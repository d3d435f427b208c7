import { expect, test } from '@jest/globals';
import { SeededPrng } from './index.js';

const firstOf = (seed: number) => {
  const prng = new SeededPrng(seed);
  return Array.from({ length: 8 }, () => prng.nextU32());
};

test('equal seeds give equal sequences, others do not', () => {
  expect(firstOf(42)).toEqual(firstOf(42));
  const seen = new Set(
    [0, 1, 2, 2 ** 32, 2 ** 32 + 1, Number.MAX_SAFE_INTEGER].map((seed) => firstOf(seed).join()),
  );
  expect(seen.size).toBe(6);
});

test('numbers are spread evenly', () => {
  const prng = new SeededPrng(7);
  const counts = new Array<number>(10).fill(0);
  let sum = 0;
  for (let i = 0; i < 100_000; i++) {
    counts[prng.nextInt(10)]!++;
    const x = prng.nextFloat();
    expect(x >= 0 && x < 1).toBe(true);
    sum += x;
  }
  for (const count of counts) expect(Math.abs(count - 10_000)).toBeLessThan(500);
  expect(sum / 100_000).toBeCloseTo(0.5, 2);
});
