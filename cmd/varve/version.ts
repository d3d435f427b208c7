import { readFileSync } from 'node:fs';

const packageJson: unknown = JSON.parse(
  readFileSync(new URL('../../../package.json', import.meta.url), 'utf8'),
);

/** The version of this build, from package.json. */
export const VERSION: string = String((packageJson as { version?: unknown }).version ?? 'unknown');
