import { createHash, type X509Certificate } from 'node:crypto';
import {
  AppError,
  BUNDLE_CONTENT_FOLDER,
  BUNDLE_STATEMENT_ENTRY,
  type BundleStatement,
  bundleEnvelopeSchema,
  bundleStatementSchema,
  issuesOf,
  MAX_BUNDLE_STATEMENT_BYTES,
} from '@selvedge/contract';
import type * as z from 'zod';
import { verifyEnvelope } from '../package/signature.ts';
import { BLOCK_BYTES, claimOf, paddingOf, TAR_END, ustarHeader } from '../ustar.ts';
import { ByteReader } from './byte-reader.ts';
import { statementBytes } from './statement-bytes.ts';

export interface ReadBundleOptions {
  /** Whose signatures are taken, PEM; one certificate or several. */
  ca: string;
  /**
   * Called once, before any content is read. What it throws ends the reading.
   * @returns the digests of the content that is to be given to `take`; the rest is checked and passed over.
   */
  onStatement: (statement: BundleStatement, signer: X509Certificate) => Promise<ReadonlySet<string>> | ReadonlySet<string>;
  /** Given the content of one digest, to be read to its end. It is not to be trusted before `readBundle` has resolved. */
  take?: (sha256: string, content: AsyncIterable<Uint8Array>) => Promise<void>;
  signal?: AbortSignal;
}

/**
 * Reads a bundle from its first byte to its last. Every byte counts: each header must be the very one that follows from the
 * signed statement, all content must have its digest, and nothing may follow. So there is no path, link, size or order that
 * an archive could smuggle in.
 *
 * @throws AppError SIGNATURE_INVALID (user), ARCHIVE_UNSAFE (user) with the place of the fault, DIGEST_MISMATCH (operational);
 *   what the source, `onStatement` and `take` throw.
 */
export async function readBundle(source: AsyncIterable<Uint8Array>, options: ReadBundleOptions): Promise<BundleStatement> {
  const reader = new ByteReader(source);
  try {
    const { statement, signer } = await readStatement(reader, options.ca);
    const wanted = await options.onStatement(statement, signer);
    for (const [index, file] of statement.content.entries()) {
      options.signal?.throwIfAborted();
      await readContent(
        reader,
        file,
        `file ${index + 1} of ${statement.content.length}`,
        wanted.has(file.sha256) ? options.take : undefined,
      );
    }
    const end = await reader.read(TAR_END.length);
    if (end.length < TAR_END.length) throw cutOff(reader, 'its end');
    if (!end.equals(TAR_END)) throw unsafe(reader.offset - end.length, `there is ${found(end)} that its statement does not name`);
    if ((await reader.read(1)).length > 0) throw unsafe(reader.offset - 1, 'something follows its end');
    return statement;
  } finally {
    await reader.close();
  }
}

async function readStatement(reader: ByteReader, ca: string): Promise<{ statement: BundleStatement; signer: X509Certificate }> {
  const header = await reader.read(BLOCK_BYTES);
  if (header.length < BLOCK_BYTES) throw unsafe(0, 'it is too short to be one');
  const { sizeBytes } = claimOf(header);
  const isBounded = sizeBytes > 0 && sizeBytes <= MAX_BUNDLE_STATEMENT_BYTES;
  if (!isBounded || !header.equals(ustarHeader(BUNDLE_STATEMENT_ENTRY, sizeBytes)))
    throw unsafe(0, `it begins with ${found(header)} instead of ${BUNDLE_STATEMENT_ENTRY}`);
  const bytes = await reader.read(sizeBytes);
  if (bytes.length < sizeBytes) throw cutOff(reader, BUNDLE_STATEMENT_ENTRY);
  await readPadding(reader, sizeBytes, BUNDLE_STATEMENT_ENTRY);
  const envelope = parse(bytes, bundleEnvelopeSchema);
  const { payload, signer } = verifyEnvelope(envelope, ca, 'bundle');
  const signature = Buffer.from(envelope.signatures[0]?.sig ?? '', 'base64');
  if (!bytes.equals(statementBytes(payload, signature, signer))) throw unsafe(BLOCK_BYTES, `${BUNDLE_STATEMENT_ENTRY} was written anew`);
  const statement = parse(payload, bundleStatementSchema);
  assertOrdered(statement);
  return { statement, signer };
}

async function readContent(
  reader: ByteReader,
  { sha256, sizeBytes }: BundleStatement['content'][number],
  which: string,
  take: ReadBundleOptions['take'],
): Promise<void> {
  const name = `${BUNDLE_CONTENT_FOLDER}${sha256}`;
  const at = reader.offset;
  const header = await reader.read(BLOCK_BYTES);
  if (header.length < BLOCK_BYTES) throw cutOff(reader, `${which}, ${name}`);
  if (!header.equals(ustarHeader(name, sizeBytes)))
    throw unsafe(at, `${which} must be ${name} with ${sizeBytes} bytes, and is ${found(header)}`);
  const hash = createHash('sha256');
  let readBytes = 0;
  async function* hashed(): AsyncGenerator<Uint8Array> {
    for await (const chunk of reader.chunks(sizeBytes - readBytes)) {
      readBytes += chunk.length;
      hash.update(chunk);
      yield chunk;
    }
    if (readBytes < sizeBytes) throw cutOff(reader, `${which}, ${name}`);
  }
  if (take !== undefined) await take(sha256, hashed());
  for await (const _rest of hashed()); // of what was passed over, or not read to its end
  const actual = hash.digest('hex');
  if (actual !== sha256)
    throw new AppError('DIGEST_MISMATCH', {
      message: `The bundle is damaged in ${which} (bytes ${at + BLOCK_BYTES} to ${reader.offset}): its sha256 is ${actual}, not ${sha256}.`,
      hint: 'Copy the bundle again; if it stays so, export it again.',
    });
  await readPadding(reader, sizeBytes, `${which}, ${name}`);
}

async function readPadding(reader: ByteReader, sizeBytes: number, what: string): Promise<void> {
  const wantedBytes = paddingOf(sizeBytes);
  const padding = await reader.read(wantedBytes);
  if (padding.length < wantedBytes) throw cutOff(reader, what);
  if (padding.some((byte) => byte !== 0)) throw unsafe(reader.offset - wantedBytes, `there is something hidden after ${what}`);
}

/** What a device looks for must be there once, and where it is looked for. */
function assertOrdered({ devices, content }: BundleStatement): void {
  const isSorted = (keys: readonly string[]) => keys.every((key, index) => index === 0 || (keys[index - 1] ?? '') < key);
  const digests = new Set(content.map(({ sha256 }) => sha256));
  const isWhole = devices.every((device) => device.content.every((sha256) => digests.has(sha256)));
  if (isWhole && isSorted(devices.map(({ name }) => name)) && isSorted(content.map(({ sha256 }) => sha256))) return;
  throw unsafe(0, 'its statement names something twice, out of order, or not at all');
}

function parse<S extends z.ZodType>(bytes: Buffer, schema: S): z.output<S> {
  let value: unknown;
  try {
    value = JSON.parse(bytes.toString('utf8'));
  } catch (cause) {
    throw new AppError('ARCHIVE_UNSAFE', { message: `The bundle is damaged: ${BUNDLE_STATEMENT_ENTRY} is not JSON.` }, { cause });
  }
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const message = `${BUNDLE_STATEMENT_ENTRY} of the bundle is not as agreed; it may be of a newer version.`;
  throw new AppError('ARCHIVE_UNSAFE', { message, issues: issuesOf(parsed.error).slice(0, 20) });
}

function found(header: Buffer): string {
  const { name, sizeBytes } = claimOf(header);
  if (name === '' || Number.isNaN(sizeBytes)) return 'something else';
  return `${JSON.stringify(name)} with ${sizeBytes} bytes`;
}

function unsafe(at: number, fault: string): AppError {
  return new AppError('ARCHIVE_UNSAFE', { message: `The file is not a bundle as Selvedge writes it: at byte ${at}, ${fault}.` });
}

function cutOff(reader: ByteReader, what: string): AppError {
  const hint = 'Copy the bundle again, and take the stick out only when it is written.';
  return new AppError('ARCHIVE_UNSAFE', { message: `The bundle is cut off at byte ${reader.offset}, in ${what}.`, hint });
}
