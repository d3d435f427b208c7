import { readFileSync } from 'node:fs';
import { describe, expect, test } from '@jest/globals';
import { parse } from 'yaml';
import { type CommandLine, loadConfig } from './load.js';
import { renderConfig, renderHelp, renderReference } from './render.js';
import type { Config } from './schema.js';

function load(args: readonly string[], environment: Record<string, string> = {}, file = ''): CommandLine {
  return loadConfig(args, environment, () => file);
}

function configOf(args: readonly string[], environment: Record<string, string> = {}, file = ''): Config {
  const commandLine = load(args, environment, file);
  if (commandLine.command !== 'run') throw new Error(`got ${commandLine.command}`);
  return commandLine.config;
}

describe('loadConfig', () => {
  test('has the documented defaults', () => {
    const config = configOf([]);
    expect(config.target).toEqual(['all']);
    expect(config.http.listen).toBe('127.0.0.1:9009');
    expect(config.grpc.listen).toBe('127.0.0.1:9095');
    expect(config.dataDir).toBe('./data');
    expect(config.bucket).toBe('file:./data/bucket');
    expect(config.multitenancy).toBe(false);
    expect(config.limits.outOfOrderTimeWindowMs).toBe(1_800_000);
    expect(config.limits.maxLabelNamesPerSeries).toBe(60);
    expect(config.enableFeature).toEqual([]);
    expect(config.log.level).toBe('info');
    expect(config.wal.sync).toBe('always');
    expect(config.push.maxBodyBytes).toBe(104_857_600);
  });

  test('takes every flag of the quick start', () => {
    const config = configOf([
      '--target=all',
      '--http-listen=:8080',
      '--grpc-listen',
      '[::1]:9000',
      '--data-dir=/var/lib/varve',
      '--bucket=file:/bucket',
      '--multitenancy',
      '--out-of-order-window=1h',
      '--enable-feature=promql-experimental-functions,promql-duration-expr',
      '--log-level=debug',
      '--wal-sync=interval',
    ]);
    expect(config.target).toEqual(['all']);
    expect(config.http.listen).toBe(':8080');
    expect(config.grpc.listen).toBe('[::1]:9000');
    expect(config.multitenancy).toBe(true);
    expect(config.limits.outOfOrderTimeWindowMs).toBe(3_600_000);
    expect(config.enableFeature).toEqual(['promql-experimental-functions', 'promql-duration-expr']);
    expect(config.wal.sync).toBe('interval');
  });

  const file = 'log:\n  level: warn\nmultitenancy: true\nquery:\n  timeout: 10s\n';
  test.each([
    ['default', [], {}, '', 'info'],
    ['file', ['--config=f'], {}, file, 'warn'],
    ['environment', ['--config=f'], { VARVE_LOG_LEVEL: 'error' }, file, 'error'],
    ['flag', ['--config=f', '--log-level=trace'], { VARVE_LOG_LEVEL: 'error' }, file, 'trace'],
    ['file named by the environment', [], { VARVE_CONFIG: 'f' }, file, 'warn'],
    ['last flag', ['--log-level=trace', '--log-level=debug'], {}, '', 'debug'],
  ] as const)('takes a value from the %s', (_name, args, environment, text, level) => {
    expect(configOf(args, environment, text).log.level).toBe(level);
  });

  test.each([
    [['--multitenancy=false'], false],
    [['--no-multitenancy'], false],
    [['--multitenancy', 'false'], false],
    [['--multitenancy', '--log-level=info'], true],
  ] as const)('reads the switch %j', (args, value) => {
    expect(configOf(args, { VARVE_MULTITENANCY: 'true' }).multitenancy).toBe(value);
  });

  test('reads durations of files with and without quotes', () => {
    expect(configOf(['--config=f'], {}, 'query: {timeout: 90s, lookback_delta: "0"}').query).toMatchObject({
      timeoutMs: 90_000,
      lookbackDeltaMs: 0,
    });
  });

  test.each([
    [['--loglevel=debug'], {}, '', 'unknown flag --loglevel; did you mean --log-level?'],
    [['--zzzzzzzzzzzz'], {}, '', 'unknown flag --zzzzzzzzzzzz; try --help'],
    [['serve'], {}, '', 'unexpected argument "serve"; try --help'],
    [
      ['--log-level'],
      {},
      '',
      'flag --log-level needs a value: one of trace, debug, info, warn, error, fatal',
    ],
    [
      ['--log-level=loud'],
      {},
      '',
      'flag --log-level: log.level must be one of trace, debug, info, warn, error, fatal, got "loud"',
    ],
    [
      ['--wal-sync=maybe'],
      {},
      '',
      'flag --wal-sync: wal.sync must be one of always, interval, none, got "maybe"',
    ],
    [
      ['--http-listen=9009'],
      {},
      '',
      'flag --http-listen: http.listen must be host:port, such as 127.0.0.1:9009 or :9009, got "9009"',
    ],
    [['--http-listen=a:99999'], {}, '', 'http.listen must be host:port'],
    [
      ['--enable-feature=warp'],
      {},
      '',
      'enable_feature must be a comma-separated list of promql-experimental-functions',
    ],
    [['--bucket=s3:x'], {}, '', 'bucket must be file:FOLDER or s3://NAME[/PREFIX], got "s3:x"'],
    [
      [],
      { VARVE_QUERY_TIMEOUT: 'soon' },
      '',
      'environment variable VARVE_QUERY_TIMEOUT: query.timeout must be a duration such as 15s, 2h or 1d12h, got "soon"',
    ],
    [
      ['--config=f'],
      {},
      'query:\n  timeot: 5s',
      'config file f: query: unknown field "timeot"; allowed: concurrency, max_outstanding_per_tenant, timeout',
    ],
    [['--config=f'], {}, 'colour: red', 'config file f: unknown field "colour"; allowed: target, data_dir'],
    [['--config=f'], {}, 'query: 5', 'config file f: query: must be a map of settings'],
    [
      ['--config=f'],
      {},
      'limits: {max_label_names_per_series: many}',
      'config file f: limits.max_label_names_per_series must be a whole number of at least 0, got "many"',
    ],
    [['--config=f'], {}, 'a: [', 'config file f: '],
    [['--config=f'], {}, 'log: {level: info}\nlog: {level: warn}', 'config file f: '],
  ] as const)('refuses %j %j %j', (args, environment, text, message) => {
    expect(() => load(args, environment as Record<string, string>, text)).toThrow(message);
  });

  test('names every bad value of a file', () => {
    const text = 'log: {level: x}\nwal: {sync: y}';
    expect(() => load(['--config=f'], {}, text)).toThrow(/log\.level must be .*\n.*wal\.sync must be /);
  });

  test.each([
    [['--help'], 'help'],
    [['-h'], 'help'],
    [['--version', '--log-level=info'], 'version'],
  ] as const)('%j asks for %s', (args, command) => expect(load(args).command).toBe(command));
});

describe('rendering', () => {
  test('the effective configuration can be read back', () => {
    const config = configOf([
      '--query-timeout=90s',
      '--enable-feature=promql-duration-expr',
      '--multitenancy',
    ]);
    const text = renderConfig(config);
    expect(configOf(['--config=f'], {}, text)).toEqual(config);
    expect(parse(text)).toMatchObject({ query: { timeout: '1m30s' }, push: { max_body_bytes: '100MiB' } });
  });

  test('help lists every flag with its default', () => {
    const help = renderHelp();
    for (const flag of [
      '--target=all',
      '--http-listen=127.0.0.1:9009',
      '--out-of-order-window=30m',
      '--wal-sync=always',
    ]) {
      expect(help).toContain(flag);
    }
    expect(help).toContain('[VARVE_WAL_SYNC]');
  });

  test('the reference page is up to date', () => {
    const page = readFileSync(new URL('../../../docs/reference/configuration.md', import.meta.url), 'utf8');
    expect(page).toBe(renderReference());
  });
});
