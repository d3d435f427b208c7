import type { Command } from './command.js';
import { settingsOf } from './command-line.js';

/** Where descriptions of flags begin. */
const INDENT = 39;

/** The text of `varve bucket --help`. */
export function renderToolHelp(commands: readonly Command[]): string {
  const width = Math.max(...commands.map(({ name, synopsis }) => name.length + synopsis.length + 1));
  return [
    'Usage: varve bucket COMMAND [ARGUMENTS] [FLAGS]',
    '',
    'Looks into the bucket, checks it, and brings blocks in and out. Flags, environment variables and config file say where',
    'the bucket is, as they do for the server: --bucket, --s3-…, --bucket-flat-tenant, --config.',
    '',
    ...commands.map(
      ({ name, synopsis, summary }) => `  ${`${name} ${synopsis}`.trimEnd().padEnd(width)}  ${summary}`,
    ),
    '',
    'varve bucket COMMAND --help tells more. Exit codes: 0 all is well, 1 something is wrong or failed, 2 wrong command line.',
  ].join('\n');
}

/** The text of `varve bucket COMMAND --help`. */
export function renderCommandHelp(command: Command): string {
  const own = [
    ...(command.hasTarget
      ? [
          flagLine('to=URL', 'Bucket to copy to: file:FOLDER or s3://NAME[/PREFIX].'),
          flagLine('to-s3-…, --to-bucket-flat-tenant=…', 'As below, for the target.'),
        ]
      : []),
    ...command.flags.map(({ name, value, description }) =>
      flagLine(value === '' ? name : `${name}=${value}`, description),
    ),
  ];
  return [
    `Usage: varve bucket ${command.name} ${command.synopsis} [FLAGS]`,
    '',
    command.summary,
    ...(command.details.length === 0 ? [] : ['', ...command.details]),
    ...(own.length === 0 ? [] : ['', ...own]),
    '',
    'Where the bucket is:',
    flagLine('config=FILE', 'YAML file with settings. [VARVE_CONFIG]'),
    ...settingsOf(command).map(({ flag, facts, environment }) => {
      const value = facts.fallback === '' ? facts.kind.toUpperCase() : facts.fallback;
      return flagLine(`${flag}=${value}`, `${facts.description} [${environment}]`);
    }),
  ].join('\n');
}

function flagLine(flag: string, description: string): string {
  return `${`  --${flag}`.padEnd(INDENT)} ${description}`;
}
