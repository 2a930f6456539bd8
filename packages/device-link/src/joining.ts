export { makeCertificateRequest, makeDeviceKey } from './certificate-request.ts';
export { findServerCa } from './server-fingerprint.ts';
