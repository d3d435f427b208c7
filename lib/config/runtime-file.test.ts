import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { DEFAULT_LIMITS, TenantLimits } from '../limits/index.js';
import { silentLogger } from '../telemetry/index.js';
import { RuntimeFile } from './runtime-file.js';

test('RuntimeFile follows its file and keeps the last good limits', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'varve-runtime-'));
  const path = join(folder, 'runtime.yaml');
  const limits = new TenantLimits(DEFAULT_LIMITS);
  const file = new RuntimeFile(path, limits, silentLogger);
  await expect(file.start(60_000)).rejects.toThrow('ENOENT');
  writeFileSync(path, 'overrides: {a: {max_label_names_per_series: 7}}');
  await file.start(60_000);
  expect(limits.of('a').maxLabelNamesPerSeries).toBe(7);
  expect(await file.reload()).toBe(false);
  writeFileSync(path, 'overrides: {a: {max_label_names_per_series: many}}');
  await expect(file.reload()).rejects.toThrow(
    'overrides.a: max_label_names_per_series must be a whole number',
  );
  expect(limits.of('a').maxLabelNamesPerSeries).toBe(7);
  writeFileSync(path, 'overrides: {}');
  expect(await file.reload()).toBe(true);
  expect(limits.of('a')).toBe(limits.defaults);
  file.stop();
  rmSync(folder, { recursive: true });
});
