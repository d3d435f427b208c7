import { openBucket, type S3Credentials } from '../../lib/bucket/index.js';
import type { Clock } from '../../lib/clock/index.js';
import { type Config, loadConfig } from '../../lib/config/index.js';
import { messageOf, VarveError } from '../../lib/errors/index.js';
import { bucketSettings } from '../varve/bucket-storage.js';
import {
  type Command,
  EXIT_OK,
  EXIT_PROBLEM,
  EXIT_USAGE,
  type OpenBucket,
  type Output,
  usageError,
} from './command.js';
import { parseLine } from './command-line.js';
import { COPY } from './copy.js';
import { DOWNLOAD } from './download.js';
import { renderCommandHelp, renderToolHelp } from './help.js';
import { INSPECT } from './inspect.js';
import { LS } from './ls.js';
import { ReadOnlyBucket } from './read-only-bucket.js';
import { STATS } from './stats.js';
import { UPLOAD } from './upload.js';
import { VERIFY } from './verify.js';

const COMMANDS: readonly Command[] = [LS, INSPECT, VERIFY, STATS, COPY, UPLOAD, DOWNLOAD];

/** What the tool has of its process. */
export interface ToolParts {
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly output: Output;
  readonly clock: Clock;
  /** Aborted when the user wants to stop. */
  readonly signal: AbortSignal;
}

/**
 * Runs `varve bucket …`.
 * @param words what follows `bucket` on the command line
 * @returns the exit code: 0 all is well, 1 something is wrong or failed, 2 wrong command line or configuration
 */
export async function runBucketTool(words: readonly string[], parts: ToolParts): Promise<number> {
  const { output, environment, signal } = parts;
  const open: OpenBucket[] = [];
  try {
    const [name = '', ...rest] = words;
    const isHelp = (word: string): boolean => word === '--help' || word === '-h';
    if (name === '' || name === 'help' || isHelp(name)) {
      output.print(renderToolHelp(COMMANDS));
      return name === '' ? EXIT_USAGE : EXIT_OK;
    }
    const command = COMMANDS.find((each) => each.name === name);
    if (command === undefined) {
      throw usageError(`unknown command ${JSON.stringify(name)}; try varve bucket --help`);
    }
    if (rest.some(isHelp)) {
      output.print(renderCommandHelp(command));
      return EXIT_OK;
    }
    const { args, flags, configArgs, targetArgs } = parseLine(command, rest);
    const config = configOf(configArgs, environment);
    const source = await openAt(config, !command.isWriting);
    open.push(source);
    let target: OpenBucket | null = null;
    if (command.hasTarget) {
      // The target's flags come last and win; its layout is its own.
      const targetConfig = configOf([...configArgs, '--bucket-flat-tenant=', ...targetArgs], environment);
      target = await openAt(targetConfig, false, targetCredentials(environment));
      open.push(target);
    }
    return await command.run({ ...parts, args, flags, config, source, target });
  } catch (error) {
    const isUsage =
      error instanceof VarveError && (error.code === 'usage' || error.code.startsWith('config-'));
    const message = signal.aborted ? 'stopped' : messageOf(error);
    output.tell(`varve bucket: ${message.replaceAll('\n', '\nvarve bucket: ')}`);
    return isUsage ? EXIT_USAGE : EXIT_PROBLEM;
  } finally {
    for (const { bucket } of open) bucket.close();
  }
}

function configOf(args: readonly string[], environment: ToolParts['environment']): Config {
  const commandLine = loadConfig(args, environment);
  if (commandLine.command !== 'run') throw usageError('no such flag here');
  return commandLine.config;
}

/** Key of the target's own, if the environment has one. */
function targetCredentials(environment: ToolParts['environment']): S3Credentials | undefined {
  const accessKeyId = environment['TO_AWS_ACCESS_KEY_ID'] ?? '';
  const secretAccessKey = environment['TO_AWS_SECRET_ACCESS_KEY'] ?? '';
  const sessionToken = environment['TO_AWS_SESSION_TOKEN'] ?? '';
  if (accessKeyId === '' && secretAccessKey === '') return undefined;
  if (accessKeyId === '' || secretAccessKey === '') {
    throw usageError('TO_AWS_ACCESS_KEY_ID and TO_AWS_SECRET_ACCESS_KEY go together');
  }
  return { accessKeyId, secretAccessKey, ...(sessionToken === '' ? {} : { sessionToken }) };
}

async function openAt(
  config: Config,
  isReadOnly: boolean,
  credentials: S3Credentials | undefined = undefined,
): Promise<OpenBucket> {
  const settings = {
    ...bucketSettings(config),
    ...(credentials === undefined ? {} : { credentials }),
  };
  const { url } = settings;
  const bucket = await openBucket(settings);
  const where = url.kind === 'folder' ? `file:${url.folder}` : config.bucket.replace(/\/+$/, '');
  const endpoint = url.kind === 'folder' || config.s3.endpoint === '' ? '' : ` at ${config.s3.endpoint}`;
  return { settings, bucket: isReadOnly ? new ReadOnlyBucket(bucket) : bucket, title: where + endpoint };
}
