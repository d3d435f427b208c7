import { setTimeout as pause } from 'node:timers/promises';
import { expect, test } from '@jest/globals';
import { MemoryTidy } from './memory-tidy.js';

const MIB = 1024 * 1024;

test('collects once after enough garbage and some quiet', async () => {
  let collections = 0;
  const tidy = new MemoryTidy(1, () => collections++);
  tidy.note(30 * MIB);
  await pause(10);
  expect(collections).toBe(0);
  tidy.note(40 * MIB);
  tidy.note(400 * MIB);
  await pause(50);
  expect(collections).toBe(1);
});

test('gives the memory of a buffer back', async () => {
  const tidy = new MemoryTidy(1);
  let buffer: ArrayBuffer | null = new ArrayBuffer(256 * MIB);
  const before = process.memoryUsage().arrayBuffers;
  tidy.note(buffer.byteLength);
  buffer = null;
  await pause(50);
  expect(before - process.memoryUsage().arrayBuffers).toBeGreaterThan(250 * MIB);
});
