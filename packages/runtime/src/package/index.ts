export { type VerifiedPackage, type VerifyPackageOptions, verifyPackageArchive } from './verify-archive.ts';
