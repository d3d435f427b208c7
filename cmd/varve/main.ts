import { systemClock } from '../../lib/clock/index.js';
import { type CommandLine, loadConfig, renderHelp, renderReference } from '../../lib/config/index.js';
import { messageOf, VarveError } from '../../lib/errors/index.js';
import { createLogger } from '../../lib/telemetry/index.js';
import { VERSION } from './version.js';

/** Exit codes: 0 asked to stop and did, 1 failed, 2 wrong command line or configuration. */
const EXIT_FAILED = 1;
const EXIT_USAGE = 2;

function readCommandLine(): CommandLine {
  try {
    return loadConfig(process.argv.slice(2), process.env);
  } catch (error) {
    if (!(error instanceof VarveError)) throw error;
    process.stderr.write(`varve: ${error.message.replaceAll('\n', '\nvarve: ')}\n`);
    process.exit(EXIT_USAGE);
  }
}

async function main(): Promise<void> {
  const commandLine = readCommandLine();
  switch (commandLine.command) {
    case 'help':
      process.stdout.write(renderHelp());
      return;
    case 'reference':
      process.stdout.write(renderReference());
      return;
    case 'version':
      process.stdout.write(`varve ${VERSION} (node ${process.version})\n`);
      return;
    case 'run':
      await run(commandLine);
  }
}

async function run({ config, configFile }: CommandLine & { command: 'run' }): Promise<void> {
  // Only now: the tool does without the server's modules.
  const { buildProcess } = await import('./process.js');
  const logger = createLogger({ level: config.log.level });
  logger.info({ version: VERSION, node: process.version, configFile, targets: config.target }, 'starting');
  const { group } = await buildProcess(config, logger);

  let isStopping = false;
  const stop = async (signal: string): Promise<void> => {
    if (isStopping) {
      logger.warn({ signal }, 'asked twice to stop, leaving at once');
      process.exit(EXIT_FAILED);
    }
    isStopping = true;
    logger.info({ signal }, 'stopping');
    const isClean = await group.stop();
    logger.info({}, 'stopped');
    process.exit(isClean ? 0 : EXIT_FAILED);
  };
  process.on('SIGTERM', (signal) => void stop(signal));
  process.on('SIGINT', (signal) => void stop(signal));
  // A promise nobody handles is a bug; carrying on could acknowledge what isn't stored.
  process.on('uncaughtException', (error) => {
    logger.error({ error: messageOf(error), stack: error.stack ?? '' }, 'uncaught error, leaving');
    process.exit(EXIT_FAILED);
  });

  try {
    await group.start();
    logger.info({}, 'ready');
  } catch (error) {
    logger.error({ error: messageOf(error) }, 'start failed');
    process.exit(EXIT_FAILED);
  }
}

/** `varve bucket …`: looks into the bucket and ends; nothing of the server is started. */
async function runTool(words: readonly string[]): Promise<void> {
  const { runBucketTool } = await import('../bucket/index.js');
  const stopping = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => stopping.abort());
  // Whoever reads the output may have seen enough.
  process.stdout.on('error', () => process.exit(EXIT_FAILED));
  process.exitCode = await runBucketTool(words, {
    environment: process.env,
    output: {
      print: (text) => void process.stdout.write(`${text}\n`),
      tell: (text) => void process.stderr.write(`${text}\n`),
    },
    clock: systemClock,
    signal: stopping.signal,
  });
}

if (process.argv[2] === 'bucket') await runTool(process.argv.slice(3));
else await main();
