import { Agent as HttpAgent } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import type { PutObjectCommandInput, S3Client } from '@aws-sdk/client-s3';
import { VarveError } from '../errors/index.js';
import {
  type Bucket,
  checkObjectName,
  checkObjectPrefix,
  type ObjectList,
  type ObjectSource,
  type ObjectStat,
  objectNotFound,
  objectRange,
} from './bucket.js';
import { partsOf } from './parts.js';
import { type Attempt, type RetryPolicy, withRetries } from './retry.js';
import { bucketFailure, faultNameOf, statusOf } from './s3-errors.js';

type Sdk = typeof import('@aws-sdk/client-s3');

/** One finished request, for metrics. */
export interface BucketRequest {
  readonly operation: 'get' | 'getRange' | 'put' | 'putPart' | 'list' | 'delete' | 'stat';
  readonly seconds: number;
  /** Body bytes received or sent by successful requests. */
  readonly byteCount: number;
  readonly ok: boolean;
}

/** A key of a store's user; the token goes with keys that were lent for a time. */
export interface S3Credentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string;
}

export interface S3Options {
  readonly bucket: string;
  /** Begins all names, without slashes around it; '' for none. */
  readonly prefix: string;
  /** URL of a store other than AWS; '' for AWS. */
  readonly endpoint: string;
  readonly region: string;
  /** Whether the bucket stands in the path of URLs instead of the host name. */
  readonly forcePathStyle: boolean;
  /** `when-required` suits stores that don't know the newer checksum headers. */
  readonly checksums: 'when-required' | 'when-supported';
  /** Server-side encryption; '' for what the bucket has as its default. */
  readonly encryption: '' | 'AES256' | 'aws:kms';
  /** Key for `aws:kms`; '' for the account's. */
  readonly kmsKeyId: string;
  /** Null for the usual chain of environment, files and roles. */
  readonly credentials: S3Credentials | null;
  /** Objects larger than this are sent in parts of this size; at most two are in memory per `put`. */
  readonly partBytes: number;
  readonly connectionsMax: number;
  readonly retry: RetryPolicy;
  readonly observe: (request: BucketRequest) => void;
}

/** An object that is being stored in parts. */
interface MultipartUpload {
  readonly name: string;
  readonly key: string;
  readonly id: string;
  /** Those that were sent. */
  readonly parts: { readonly ETag: string; readonly PartNumber: number }[];
}

/** Stores refuse smaller parts than this, but for the last. */
export const PART_BYTES_MIN = 5 * 1024 * 1024;

/** A bucket of Amazon S3 or of a store that speaks its protocol. The SDK is loaded when the first one is opened. */
export class S3Bucket implements Bucket {
  readonly #sdk: Sdk;
  readonly #client: S3Client;
  readonly #options: S3Options;
  readonly #prefix: string;

  static async open(options: S3Options): Promise<S3Bucket> {
    const sdk = await import('@aws-sdk/client-s3');
    return new S3Bucket(sdk, options);
  }

  private constructor(sdk: Sdk, options: S3Options) {
    this.#sdk = sdk;
    this.#options = options;
    this.#prefix = options.prefix === '' ? '' : `${options.prefix}/`;
    const checksums = options.checksums === 'when-required' ? 'WHEN_REQUIRED' : 'WHEN_SUPPORTED';
    const agent = { keepAlive: true, maxSockets: options.connectionsMax };
    this.#client = new sdk.S3Client({
      region: options.region,
      ...(options.endpoint === '' ? {} : { endpoint: options.endpoint }),
      forcePathStyle: options.forcePathStyle,
      ...(options.credentials === null ? {} : { credentials: options.credentials }),
      requestChecksumCalculation: checksums,
      responseChecksumValidation: checksums,
      // Repeating is done here: one deadline over all attempts, and bodies that break half-way are repeated too.
      maxAttempts: 1,
      requestHandler: {
        connectionTimeout: 5000,
        httpAgent: new HttpAgent(agent),
        httpsAgent: new HttpsAgent(agent),
      },
    });
  }

  async get(name: string): Promise<Uint8Array> {
    const key = this.#key(name);
    return this.#run('get', name, async (signal) => {
      const command = new this.#sdk.GetObjectCommand({ Bucket: this.#options.bucket, Key: key });
      const { Body, ContentLength } = await this.#client.send(command, { abortSignal: signal });
      return wholeBody(Body, ContentLength, signal);
    });
  }

  async getRange(name: string, offset: number, length: number): Promise<Uint8Array> {
    const key = this.#key(name);
    if (length === 0) {
      const found = await this.stat(name);
      if (found === null) throw objectNotFound(name);
      if (offset > found.byteCount) throw objectRange(name, offset, found.byteCount);
      return new Uint8Array(0);
    }
    return this.#run('getRange', name, async (signal) => {
      const command = new this.#sdk.GetObjectCommand({
        Bucket: this.#options.bucket,
        Key: key,
        Range: `bytes=${offset}-${offset + length - 1}`,
      });
      try {
        const { Body, ContentLength, ContentRange } = await this.#client.send(command, {
          abortSignal: signal,
        });
        const bytes = await wholeBody(Body, ContentLength, signal);
        // Some stores send more than was asked for, up to the whole object.
        const sentFrom = Number(/^bytes (\d+)-/.exec(ContentRange ?? '')?.[1] ?? 0);
        const from = offset - sentFrom;
        if (from < 0 || from >= bytes.length) throw objectRange(name, offset, sentFrom + bytes.length);
        return bytes.subarray(from, from + length);
      } catch (thrown) {
        if (statusOf(thrown) !== 416) throw thrown;
        throw objectRange(name, offset, (await this.stat(name))?.byteCount ?? 0);
      }
    });
  }

  async put(name: string, source: ObjectSource): Promise<void> {
    const key = this.#key(name);
    const parts = partsOf(source, Math.max(PART_BYTES_MIN, this.#options.partBytes));
    let upload: MultipartUpload | null = null;
    try {
      let part = (await parts.next()).value as Uint8Array;
      for (let next = await parts.next(); next.done !== true; next = await parts.next()) {
        upload ??= await this.#beginUpload(name, key);
        await this.#putPart(upload, part);
        part = next.value;
      }
      if (upload === null) await this.#putWhole(name, key, part, {});
      else {
        await this.#putPart(upload, part);
        await this.#complete(upload);
      }
    } catch (thrown) {
      // Aborted, so that its parts take no space.
      if (upload !== null) await this.#abort(key, upload.id).catch(() => undefined);
      throw bucketFailure('store', name, thrown);
    } finally {
      await parts.return(undefined);
    }
  }

  async putIfAbsent(name: string, bytes: Uint8Array): Promise<boolean> {
    const key = this.#key(name);
    if ((await this.stat(name)) !== null) return false;
    try {
      await this.#putWhole(name, key, bytes, { IfNoneMatch: '*' });
      return true;
    } catch (thrown) {
      const cause = thrown instanceof VarveError ? thrown.cause : thrown;
      const status = statusOf(cause);
      // 409: another conditional request for the same name is under way, and one of them wins.
      if (status === 412 || status === 409) return false;
      if (status !== 501) throw thrown;
      await this.#putWhole(name, key, bytes, {});
      return true;
    }
  }

  async list(prefix: string, delimiter?: '/'): Promise<ObjectList> {
    checkObjectPrefix(prefix);
    const objects: string[] = [];
    const prefixes: string[] = [];
    let token: string | undefined;
    do {
      const page = await this.#run('list', prefix === '' ? 'the bucket' : prefix, (signal) =>
        this.#client.send(
          new this.#sdk.ListObjectsV2Command({
            Bucket: this.#options.bucket,
            Prefix: this.#prefix + prefix,
            ...(delimiter === undefined ? {} : { Delimiter: delimiter }),
            ...(token === undefined ? {} : { ContinuationToken: token }),
          }),
          { abortSignal: signal },
        ),
      );
      for (const { Key } of page.Contents ?? []) {
        // Keys that end in a slash are folder marks of other tools.
        if (Key !== undefined && !Key.endsWith('/')) objects.push(Key.slice(this.#prefix.length));
      }
      for (const { Prefix } of page.CommonPrefixes ?? []) {
        if (Prefix !== undefined) prefixes.push(Prefix.slice(this.#prefix.length));
      }
      token = page.IsTruncated === true ? page.NextContinuationToken : undefined;
    } while (token !== undefined);
    return { objects: objects.sort(), prefixes: prefixes.sort() };
  }

  async delete(name: string): Promise<void> {
    const key = this.#key(name);
    await this.#run('delete', name, async (signal) => {
      const command = new this.#sdk.DeleteObjectCommand({ Bucket: this.#options.bucket, Key: key });
      await this.#client.send(command, { abortSignal: signal }).catch((thrown: unknown) => {
        if (!isMissing(thrown)) throw thrown;
      });
    });
  }

  async stat(name: string): Promise<ObjectStat | null> {
    const key = this.#key(name);
    return this.#run('stat', name, async (signal) => {
      try {
        const command = new this.#sdk.HeadObjectCommand({ Bucket: this.#options.bucket, Key: key });
        const { ContentLength, LastModified } = await this.#client.send(command, { abortSignal: signal });
        return { byteCount: ContentLength ?? 0, modifiedMs: LastModified?.getTime() ?? 0 };
      } catch (thrown) {
        if (isMissing(thrown)) return null;
        throw thrown;
      }
    });
  }

  async removeAbandonedUploads(beforeMs: number): Promise<number> {
    const list = new this.#sdk.ListMultipartUploadsCommand({
      Bucket: this.#options.bucket,
      Prefix: this.#prefix,
    });
    const uploads = await this.#run('list', 'uploads', async (signal) => {
      try {
        return (await this.#client.send(list, { abortSignal: signal })).Uploads ?? [];
      } catch (thrown) {
        if (faultNameOf(thrown) === 'NotImplemented') return [];
        throw thrown;
      }
    });
    let count = 0;
    for (const { Key, UploadId, Initiated } of uploads) {
      if (Key === undefined || UploadId === undefined || Initiated === undefined) continue;
      if (Initiated.getTime() >= beforeMs) continue;
      await this.#abort(Key, UploadId);
      count++;
    }
    return count;
  }

  close(): void {
    this.#client.destroy();
  }

  #key(name: string): string {
    checkObjectName(name);
    return this.#prefix + name;
  }

  get #encryption(): Pick<PutObjectCommandInput, 'ServerSideEncryption' | 'SSEKMSKeyId'> {
    const { encryption, kmsKeyId } = this.#options;
    if (encryption === '') return {};
    return { ServerSideEncryption: encryption, ...(kmsKeyId === '' ? {} : { SSEKMSKeyId: kmsKeyId }) };
  }

  async #putWhole(
    name: string,
    key: string,
    bytes: Uint8Array,
    condition: Pick<PutObjectCommandInput, 'IfNoneMatch'>,
  ): Promise<void> {
    await this.#run('put', name, async (signal) => {
      const command = new this.#sdk.PutObjectCommand({
        Bucket: this.#options.bucket,
        Key: key,
        Body: bytes,
        ContentLength: bytes.length,
        ...condition,
        ...this.#encryption,
      });
      await this.#client.send(command, { abortSignal: signal });
      return bytes;
    });
  }

  async #beginUpload(name: string, key: string): Promise<MultipartUpload> {
    const input = { Bucket: this.#options.bucket, Key: key, ...this.#encryption };
    const { UploadId } = await this.#run('put', name, (signal) =>
      this.#client.send(new this.#sdk.CreateMultipartUploadCommand(input), { abortSignal: signal }),
    );
    if (UploadId === undefined) throw new Error('the store gave no upload id');
    return { name, key, id: UploadId, parts: [] };
  }

  async #putPart({ name, key, id, parts }: MultipartUpload, Body: Uint8Array): Promise<void> {
    const PartNumber = parts.length + 1;
    const { bucket: Bucket } = this.#options;
    const input = { Bucket, Key: key, UploadId: id, PartNumber, Body, ContentLength: Body.length };
    const send = async (signal: AbortSignal): Promise<string> => {
      const sent = await this.#client.send(new this.#sdk.UploadPartCommand(input), { abortSignal: signal });
      return sent.ETag ?? '';
    };
    parts.push({ ETag: await this.#run('putPart', name, send, Body.length), PartNumber });
  }

  /** From now on the object is there. */
  async #complete({ name, key, id, parts }: MultipartUpload): Promise<void> {
    const finish = new this.#sdk.CompleteMultipartUploadCommand({
      Bucket: this.#options.bucket,
      Key: key,
      UploadId: id,
      MultipartUpload: { Parts: parts },
    });
    await this.#run('put', name, async (signal) => {
      try {
        await this.#client.send(finish, { abortSignal: signal });
      } catch (thrown) {
        // An earlier attempt whose answer was lost may have completed it.
        if (faultNameOf(thrown) !== 'NoSuchUpload' || (await this.stat(name)) === null) throw thrown;
      }
    });
  }

  async #abort(key: string, UploadId: string): Promise<void> {
    const input = { Bucket: this.#options.bucket, Key: key, UploadId };
    await this.#run('delete', key, (signal) =>
      this.#client.send(new this.#sdk.AbortMultipartUploadCommand(input), { abortSignal: signal }),
    );
  }

  async #run<Result>(
    operation: BucketRequest['operation'],
    name: string,
    attempt: Attempt<Result>,
    sentBytes = 0,
  ): Promise<Result> {
    const { observe, retry } = this.#options;
    return withRetries(
      retry,
      async (signal) => {
        const startedMs = performance.now();
        let byteCount = 0;
        let ok = false;
        try {
          const result = await attempt(signal);
          byteCount = result instanceof Uint8Array ? result.length : sentBytes;
          ok = true;
          return result;
        } catch (thrown) {
          ok = thrown instanceof VarveError || isMissing(thrown);
          throw thrown;
        } finally {
          observe({ operation, seconds: (performance.now() - startedMs) / 1000, byteCount, ok });
        }
      },
      (thrown) =>
        isMissing(thrown) ? objectNotFound(name, thrown) : bucketFailure(ACTIONS[operation], name, thrown),
      (error) => error.code === 'bucket-refused',
    );
  }
}

const ACTIONS: Readonly<Record<BucketRequest['operation'], string>> = {
  get: 'read',
  getRange: 'read',
  put: 'store',
  putPart: 'store',
  list: 'list',
  delete: 'delete',
  stat: 'look at',
};

/** A missing object; a missing bucket is something else. */
function isMissing(thrown: unknown): boolean {
  const name = faultNameOf(thrown);
  if (name === 'NoSuchBucket' || name === 'NoSuchUpload') return false;
  return name === 'NoSuchKey' || name === 'NotFound' || statusOf(thrown) === 404;
}

interface BodyStream extends AsyncIterable<Uint8Array> {
  destroy?(): void;
}

/**
 * Reads a body to its end. A connection that breaks half-way must not look like a short object, so the length that was
 * announced is checked.
 */
async function wholeBody(
  body: unknown,
  announced: number | undefined,
  signal: AbortSignal,
): Promise<Uint8Array> {
  const stream = body as BodyStream;
  const stop = (): void => stream.destroy?.();
  signal.addEventListener('abort', stop);
  try {
    const pieces: Uint8Array[] = [];
    let byteCount = 0;
    for await (const piece of stream) {
      pieces.push(piece);
      byteCount += piece.length;
    }
    signal.throwIfAborted();
    if (announced !== undefined && byteCount !== announced) {
      throw new Error(`the body ended after ${byteCount} of ${announced} bytes`);
    }
    const whole = new Uint8Array(byteCount);
    let at = 0;
    for (const piece of pieces) {
      whole.set(piece, at);
      at += piece.length;
    }
    return whole;
  } finally {
    signal.removeEventListener('abort', stop);
  }
}
