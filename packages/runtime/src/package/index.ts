export { verifyEnvelope } from './signature.ts';
export { type VerifiedPackage, type VerifyPackageOptions, verifyPackageArchive } from './verify-archive.ts';
