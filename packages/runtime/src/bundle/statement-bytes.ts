import type { X509Certificate } from 'node:crypto';
import { BUNDLE_PAYLOAD_TYPE, type BundleEnvelope } from '@selvedge/contract';

/**
 * The one way to write down a signed statement: what is signed is the payload, and around it no byte may differ either, so that
 * a bundle that was changed anywhere is found out.
 */
export function statementBytes(payload: Uint8Array, signature: Uint8Array, signer: X509Certificate): Buffer {
  const keyid = signer.fingerprint256.replaceAll(':', '').toLowerCase();
  const envelope: BundleEnvelope = {
    payloadType: BUNDLE_PAYLOAD_TYPE,
    payload: Buffer.from(payload).toString('base64'),
    signatures: [{ keyid, sig: Buffer.from(signature).toString('base64'), certificate: signer.toString() }],
  };
  return Buffer.from(`${JSON.stringify(envelope)}\n`);
}
