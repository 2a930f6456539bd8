import { createPrivateKey, sign, verify, X509Certificate } from 'node:crypto';
import {
  AppError,
  RESULTS_PAYLOAD_TYPE,
  type ResultsEnvelope,
  type ResultsStatement,
  resultsEnvelopeSchema,
  resultsStatementSchema,
} from '@selvedge/contract';
import { preAuthEncoding } from '../package/signature.ts';

/** Signs what a device says of itself. @param signer - the device's key and its client certificate, PEM. @returns the file's content. */
export function signResults(statement: ResultsStatement, signer: { keyPem: string; certPem: string }): Buffer {
  const payload = Buffer.from(JSON.stringify(resultsStatementSchema.parse(statement)));
  const sig = sign('sha256', preAuthEncoding(RESULTS_PAYLOAD_TYPE, payload), createPrivateKey(signer.keyPem)).toString('base64');
  const keyid = new X509Certificate(signer.certPem).fingerprint256.replaceAll(':', '').toLowerCase();
  const envelope: ResultsEnvelope = {
    payloadType: RESULTS_PAYLOAD_TYPE,
    payload: payload.toString('base64'),
    signatures: [{ keyid, sig, certificate: signer.certPem }],
  };
  return Buffer.from(`${JSON.stringify(envelope)}\n`);
}

/**
 * Reads a file of results and checks that the key of the certificate in it has signed it. Whose certificate that is, is for the
 * caller to find out.
 *
 * @throws AppError INPUT_INVALID (user) when it is not such a file; SIGNATURE_INVALID (user).
 */
export function openResults(bytes: Buffer): { statement: ResultsStatement; certificate: X509Certificate } {
  const notResults = (cause?: unknown) =>
    new AppError('INPUT_INVALID', { message: 'This is not a file of results, or it is cut off.' }, { cause });
  const envelope = resultsEnvelopeSchema.safeParse(parseJson(bytes));
  const [signature] = envelope.data?.signatures ?? [];
  if (!envelope.success || signature === undefined) throw notResults(envelope.error);
  const payload = Buffer.from(envelope.data.payload, 'base64');
  let certificate: X509Certificate;
  let holds: boolean;
  try {
    certificate = new X509Certificate(signature.certificate);
    holds = verify('sha256', preAuthEncoding(RESULTS_PAYLOAD_TYPE, payload), certificate.publicKey, Buffer.from(signature.sig, 'base64'));
  } catch (cause) {
    throw notResults(cause);
  }
  if (!holds) throw new AppError('SIGNATURE_INVALID', { message: 'The results were changed after the device had signed them.' });
  const statement = resultsStatementSchema.safeParse(parseJson(payload));
  if (!statement.success) throw notResults(statement.error);
  return { statement: statement.data, certificate };
}

function parseJson(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString('utf8'));
  } catch {
    return undefined; // refused by the schema
  }
}
