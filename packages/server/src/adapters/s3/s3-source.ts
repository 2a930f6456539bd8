import { Readable } from 'node:stream';
import type { S3Client, S3ServiceException } from '@aws-sdk/client-s3';
import { AppError, type DatasetSource } from '@selvedge/contract';
import { pack } from 'tar-stream';
import type { ObjectSource, OpenedSource } from '../../ports/object-source.ts';

type S3Source = Extract<DatasetSource, { type: 's3' }>;

/** Objects below one key; a dataset of more is better put into archives. */
const MAX_OBJECTS = 1_000_000;
const FIXED_TIME = new Date(0);

/** The client is large and few datasets are in S3: it is loaded with the first that is. */
async function connect({ endpoint, region }: S3Source): Promise<{ client: S3Client; sdk: typeof import('@aws-sdk/client-s3') }> {
  const sdk = await import('@aws-sdk/client-s3');
  const client = new sdk.S3Client({
    region: region ?? process.env.AWS_REGION ?? 'us-east-1',
    ...(endpoint === undefined ? {} : { endpoint, forcePathStyle: true }),
    // Checksums that not all servers know; what arrives is hashed anyway.
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
  });
  return { client, sdk };
}

function named({ bucket, key }: S3Source): string {
  return `s3://${bucket}/${key}`;
}

function failed(source: S3Source, thrown: unknown): unknown {
  const error: Partial<S3ServiceException> = thrown instanceof Error ? thrown : {};
  const status = error.$metadata?.httpStatusCode;
  if (status === undefined && error.name !== 'CredentialsProviderError') return thrown;
  return new AppError(
    'DOWNLOAD_FAILED',
    {
      message: `${named(source)}: ${error.name ?? 'error'}${status === undefined ? '' : ` (HTTP ${status})`}.`,
      hint: 'Check bucket, key and the credentials of the server (AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, or a profile).',
      data: { status: status ?? 403 },
    },
    { cause: thrown },
  );
}

/** Objects of S3, or of a server that speaks it. */
export class S3Objects implements ObjectSource {
  async open(source: S3Source, from: { offset: number; validator: string } | undefined, signal: AbortSignal): Promise<OpenedSource> {
    const { client, sdk } = await connect(source);
    const object = { Bucket: source.bucket, Key: source.key };
    try {
      const head = await client.send(new sdk.HeadObjectCommand(object), { abortSignal: signal });
      const totalBytes = head.ContentLength;
      const validator = head.ETag ?? null;
      const offset = from !== undefined && from.validator === validator ? from.offset : 0;
      if (offset > 0 && offset === totalBytes) return { offset, totalBytes, validator, body: Readable.from([]) };
      const answer = await client.send(new sdk.GetObjectCommand({ ...object, ...(offset === 0 ? {} : { Range: `bytes=${offset}-` }) }), {
        abortSignal: signal,
      });
      if (!(answer.Body instanceof Readable) || (validator !== null && answer.ETag !== validator))
        throw new Error('The object changed while it was opened.');
      return { offset, totalBytes, validator, body: answer.Body };
    } catch (error) {
      throw failed(source, error);
    }
  }

  async *packAll(source: S3Source, signal: AbortSignal): AsyncGenerator<Uint8Array> {
    const { client, sdk } = await connect(source);
    const tar = pack();
    const fill = async () => {
      let count = 0;
      for (let token: string | undefined, more = true; more; ) {
        const page = await client.send(
          new sdk.ListObjectsV2Command({
            Bucket: source.bucket,
            Prefix: source.key,
            ...(token === undefined ? {} : { ContinuationToken: token }),
          }),
          { abortSignal: signal },
        );
        for (const { Key: key = '', Size: size = 0 } of page.Contents ?? []) {
          const name = key.slice(source.key.length);
          if (name === '' || name.endsWith('/')) continue;
          count += 1;
          if (count > MAX_OBJECTS)
            throw new AppError('PAYLOAD_TOO_LARGE', { message: `${named(source)} has more than ${MAX_OBJECTS} objects.` });
          const { Body: body } = await client.send(new sdk.GetObjectCommand({ Bucket: source.bucket, Key: key }), { abortSignal: signal });
          if (!(body instanceof Readable)) throw new Error(`${key} has no content.`);
          await addEntry(tar, { name, size, body });
        }
        token = page.NextContinuationToken;
        more = page.IsTruncated === true && token !== undefined;
      }
      if (count === 0) throw new AppError('DATASET_FORMAT', { message: `There is no object below ${named(source)}.` });
      tar.finalize();
    };
    let failure: unknown;
    fill().catch((error: unknown) => {
      failure = failed(source, error);
      tar.destroy(new Error('the listing or an object could not be read'));
    });
    try {
      for await (const chunk of tar) if (chunk instanceof Uint8Array) yield chunk;
    } catch (error) {
      throw failure ?? error;
    }
    if (failure !== undefined) throw failure;
  }
}

async function addEntry(tar: ReturnType<typeof pack>, { name, size, body }: { name: string; size: number; body: Readable }): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    const entry = tar.entry({ name, size, mtime: FIXED_TIME, mode: 0o644 }, (error) => (error ? reject(error) : resolve()));
    entry.on('error', reject);
    const feed = async () => {
      for await (const chunk of body) if (!entry.write(chunk)) await new Promise<void>((drained) => entry.once('drain', drained));
      entry.end(null);
    };
    feed().catch(reject);
  });
}
