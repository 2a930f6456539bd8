/** The model that recordings order; it stays as it is, because they have its digest. */
export const MODEL_BYTES = Buffer.from(
  'CAgSBHRlc3Q6hQIKKgoFaW5wdXQSBnBvb2xlZBoGcG9vbGVkIhFHbG9iYWxBdmVyYWdlUG9vbAojCgZwb29sZWQKBGdhaW4SBnNjYWxlZBoGc2NhbGVkIgNNdWwKOAoGc2NhbGVkCgVzaGFwZRIGc2NvcmVzGgZzY29yZXMiB1Jlc2hhcGUqDgoJYWxsb3d6ZXJvoAECEghjaGFubmVscyoRCgEBEAFCBGdhaW5KBAAAgD8qHgoBAhAHQgVzaGFwZUoQ//////////8DAAAAAAAAAFogCgVpbnB1dBIXChUIARIRCgMSAU4KAggDCgIIBAoCCARiGQoGc2NvcmVzEg8KDQgBEgkKAxIBTgoCCANCAhARMgEx',
  'base64',
);
