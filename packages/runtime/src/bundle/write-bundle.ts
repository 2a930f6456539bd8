import { X509Certificate } from 'node:crypto';
import {
  BUNDLE_CONTENT_FOLDER,
  BUNDLE_PAYLOAD_TYPE,
  BUNDLE_STATEMENT_ENTRY,
  type BundleStatement,
  bundleStatementSchema,
} from '@selvedge/contract';
import { type PackageSigner, signEnvelope } from '../package/signature.ts';
import { entryBytes, paddingOf, TAR_END, ustarHeader } from '../ustar.ts';
import { statementBytes } from './statement-bytes.ts';

/** Signs what a bundle says. The same statement and key give the same bytes. @returns the content of the bundle's first entry. */
export function signBundle(statement: BundleStatement, signer: PackageSigner): Buffer {
  const payload = Buffer.from(JSON.stringify(bundleStatementSchema.parse(statement)));
  const [signature] = signEnvelope(payload, signer, BUNDLE_PAYLOAD_TYPE).signatures;
  return statementBytes(payload, Buffer.from(signature?.sig ?? '', 'base64'), new X509Certificate(signer.certificatePem));
}

/** How large the bundle as a whole is. */
export function bundleBytes(envelopeBytes: number, content: BundleStatement['content']): number {
  return content.reduce((sum, { sizeBytes }) => sum + entryBytes(sizeBytes), entryBytes(envelopeBytes) + TAR_END.length);
}

/**
 * The bundle as a stream; one file's bytes are in memory at most in part.
 *
 * @param open - the content of this sha256. That it is what it says is checked by who reads the bundle.
 */
export async function* writeBundle(
  envelope: Uint8Array,
  content: BundleStatement['content'],
  open: (sha256: string) => Promise<AsyncIterable<Uint8Array>>,
): AsyncGenerator<Uint8Array, void, undefined> {
  yield ustarHeader(BUNDLE_STATEMENT_ENTRY, envelope.length);
  yield envelope;
  yield Buffer.alloc(paddingOf(envelope.length));
  for (const { sha256, sizeBytes } of content) {
    yield ustarHeader(`${BUNDLE_CONTENT_FOLDER}${sha256}`, sizeBytes);
    yield* await open(sha256);
    yield Buffer.alloc(paddingOf(sizeBytes));
  }
  yield TAR_END;
}
