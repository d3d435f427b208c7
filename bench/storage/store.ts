import { makeFolder } from '../../e2e/processes.js';
import { startVarve, type Varve } from '../../e2e/varve.js';
import { type Bucket, S3Bucket } from '../../lib/bucket/index.js';
import { type S3Server, startRealS3, testOptions } from '../../lib/bucket/testing/s3-server.js';
import { HOUR_MS, type Setup } from './setup.js';

/** How long the compactor leaves new blocks alone: until those of a whole simulated day have come. */
export const FIRST_LEVEL_WAIT_MS = 40_000;

/** An S3 server and the processes of Varve on it. */
export class Store {
  readonly server: S3Server;
  readonly #setup: Setup;

  private constructor(server: S3Server, setup: Setup) {
    this.server = server;
    this.#setup = setup;
    process.env['AWS_ACCESS_KEY_ID'] = server.credentials.accessKeyId;
    process.env['AWS_SECRET_ACCESS_KEY'] = server.credentials.secretAccessKey;
  }

  /** @throws when there is no S3 server on this machine */
  static async open(setup: Setup): Promise<Store> {
    const server = await startRealS3();
    if (server === null) {
      throw new Error(
        'no S3 server: set S3_ENDPOINT (with S3_BUCKET and the AWS_ variables), or put minio or versitygw on the PATH',
      );
    }
    return new Store(server, setup);
  }

  /** The objects below a prefix. */
  bucket(prefix: string): Promise<Bucket> {
    const retry = { ...testOptions(this.server).retry, deadlineMs: 60_000, attemptMs: 30_000 };
    return S3Bucket.open(testOptions(this.server, { prefix, retry }));
  }

  /** Starts a process that takes samples and compacts without pauses. */
  startIngesting(prefix: string): Promise<Varve> {
    const { hourSpanMs, daySpanMs } = this.#setup;
    return this.#start(prefix, [
      '--compactor-compaction-interval=5s',
      '--compactor-cleanup-interval=5s',
      `--compactor-first-level-compaction-wait-period=${FIRST_LEVEL_WAIT_MS / 1000}s`,
      `--compactor-downsampling-1h-range=${hourSpanMs / HOUR_MS}h`,
      `--compactor-downsampling-1d-range=${daySpanMs / HOUR_MS}h`,
      '--compactor-deletion-delay=2m',
      '--blocks-ship-interval=2s',
      '--blocks-local-retention=20s',
      '--blocks-sync-interval=10s',
    ]);
  }

  /** Starts a process that only answers queries: nothing in memory, no index-headers, no cache. */
  startAsking(prefix: string): Promise<Varve> {
    return this.#start(prefix, [
      '--compactor-compaction-interval=1d',
      '--compactor-cleanup-interval=1d',
      '--compactor-downsampling-enabled=false',
      '--query-max-samples=500000000',
      '--query-max-memory-bytes=3GiB',
      '--query-timeout=10m',
      '--limits-max-fetched-chunks-per-query=0',
    ]);
  }

  #start(prefix: string, args: readonly string[]): Promise<Varve> {
    return startVarve({
      folder: makeFolder('storage'),
      args: [
        `--bucket=s3://${this.server.bucket}/${prefix}`,
        `--s3-endpoint=${this.server.endpoint}`,
        ...args,
        ...this.#setup.args,
      ],
    });
  }

  close(): Promise<void> {
    return this.server.stop();
  }
}
