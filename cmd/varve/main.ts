import { type CommandLine, loadConfig, renderHelp, renderReference } from '../../lib/config/index.js';
import { messageOf, VarveError } from '../../lib/errors/index.js';
import { createLogger } from '../../lib/telemetry/index.js';
import { buildProcess } from './process.js';
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

await main();
