export { openedNames } from './opened-layout.ts';
export { verifyEnvelope } from './signature.ts';
export { type UnpackOpenedOptions, unpackOpened } from './unpack-opened.ts';
export { type VerifiedPackage, type VerifyPackageOptions, verifyPackageArchive } from './verify-archive.ts';
