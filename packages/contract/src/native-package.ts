import * as z from 'zod';
import { ENGINES, PRECISIONS, targetNameSchema } from './build-options.ts';
import { metricValuesSchema, nameSchema, packagePathSchema, sha256Schema, tensorSpecSchema } from './common.ts';
import { postprocSchema, preprocSchema } from './processing-spec.ts';

export const nativeFileSchema = z.strictObject({
  path: packagePathSchema,
  sha256: sha256Schema,
  sizeBytes: z.int().min(0),
  /** Has the execute permission. */
  executable: z.boolean(),
});

/**
 * `manifest.json` of a native package: every other file with its sha256, and all that the executable needs to know.
 * Bytes are canonical: JSON with two spaces of indent, keys in schema order, a newline at the end.
 */
export const nativeManifestSchema = z.strictObject({
  formatVersion: z.literal(1),
  runtime: z.literal('native'),
  model: nameSchema,
  version: z.string().min(1).max(63),
  target: targetNameSchema,
  engine: z.enum(ENGINES),
  precision: z.enum(PRECISIONS),
  /** sha256 of the ONNX file in the registry that it was built from. */
  modelSha256: sha256Schema,
  /** What is started: always `run`, at the top of the package. */
  entrypoint: packagePathSchema,
  /** Weights (xnnpack) or ONNX file (onnxruntime). */
  modelFile: packagePathSchema,
  /** A safetensors file with `input/NAME`, `output/NAME` and the metadata `tolerance`: the self-test before traffic moves to it. */
  goldenFile: packagePathSchema.nullable(),
  /** CycloneDX 1.6 JSON. */
  sbomFile: packagePathSchema,
  inputs: z.array(tensorSpecSchema),
  outputs: z.array(tensorSpecSchema),
  labels: z.array(z.string()),
  preproc: preprocSchema,
  postproc: postprocSchema,
  /** Whether large JPEGs may be decoded at n/8 of their size, as long as they stay at least as large as the model's picture. */
  dctScaling: z.boolean(),
  benchmark: z.strictObject({
    parameters: z.int().min(0),
    /** Multiply-accumulate operations of one inference. */
    macs: z.int().min(0),
    /** Scores on the test split before (as trained) and after (as built); empty when there was no test data. */
    trained: metricValuesSchema,
    built: metricValuesSchema,
  }),
  files: z.array(nativeFileSchema).min(1).max(2000),
});
export type NativeManifest = z.infer<typeof nativeManifestSchema>;

/**
 * The first two entries of a package archive, in this order; the files of the manifest follow, sorted by path. The archive
 * is: zstd frames with these two; the build tool's files.tar.zst unchanged; a skippable zstd frame with the signer's
 * signature of the sha256 of all before it, so that no byte can change unnoticed. A frame's window is 32 MiB at most.
 */
export const MANIFEST_ENTRY = 'manifest.json';
export const PROVENANCE_ENTRY = 'provenance.dsse.json';
/** Bounds of those two entries, in bytes. */
export const MAX_MANIFEST_BYTES = 4 * 1024 * 1024;
export const MAX_PROVENANCE_BYTES = 4 * 1024 * 1024;

/**
 * DSSE envelope: signature over `PAE(payloadType, payload)` by Ed25519, which makes the same bytes each time. `certificate`
 * is the signer's, PEM, issued by the server's CA for code signing.
 *
 * @see https://github.com/secure-systems-lab/dsse/blob/master/protocol.md
 */
export const dsseEnvelopeSchema = z.strictObject({
  payloadType: z.literal('application/vnd.in-toto+json'),
  payload: z.base64(),
  signatures: z
    .array(z.strictObject({ keyid: z.string().max(128), sig: z.base64().max(1024), certificate: z.string().max(8192) }))
    .min(1)
    .max(4),
});
export type DsseEnvelope = z.infer<typeof dsseEnvelopeSchema>;

const digestSchema = z.strictObject({ sha256: sha256Schema });

/**
 * What is signed: an in-toto statement whose subject is manifest.json, and through it every file.
 *
 * @see https://github.com/in-toto/attestation/blob/main/spec/v1/statement.md
 * @see https://slsa.dev/spec/v1.0/provenance
 */
export const provenanceSchema = z.strictObject({
  _type: z.literal('https://in-toto.io/Statement/v1'),
  subject: z.array(z.strictObject({ name: z.literal(MANIFEST_ENTRY), digest: digestSchema })).length(1),
  predicateType: z.literal('https://slsa.dev/provenance/v1'),
  predicate: z.strictObject({
    buildDefinition: z.strictObject({
      buildType: z.literal('https://selvedge.dev/build/native/v1'),
      externalParameters: z.record(z.string(), z.unknown()),
      internalParameters: z.record(z.string(), z.unknown()),
      /** The ONNX file, the toolchain's lock, the runtime's sources, every user source. */
      resolvedDependencies: z.array(z.strictObject({ uri: z.string().max(2048), digest: digestSchema })).max(2000),
    }),
    runDetails: z.strictObject({ builder: z.strictObject({ id: z.string().max(256) }) }),
  }),
});
export type Provenance = z.infer<typeof provenanceSchema>;

const ms = z.number().min(0);

/** What `run --bench --json` prints, and a device reports of it. */
export const nativeBenchSchema = z.object({
  images: z.int().min(1),
  threads: z.int().min(1),
  imagesPerS: z.number().min(0),
  /** Whole pipeline: encoded picture to result. */
  latencyMs: z.object({ p50: ms, p90: ms, p95: ms, p99: ms }),
  /** Medians. */
  stagesMs: z.object({ decode: ms, preproc: ms, infer: ms, postproc: ms }),
  /** From exec to the first result. */
  coldStartMs: ms,
  /** Largest resident set. */
  rssBytes: z.int().min(0),
  /** Null where the device cannot tell. */
  cpuTemperatureC: z.number().nullable(),
  /** Energy of one inference, whole package domain (RAPL or a power sensor). */
  energyMj: z.number().min(0).nullable(),
});
export type NativeBench = z.infer<typeof nativeBenchSchema>;
