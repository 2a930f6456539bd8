import { createHash } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import type { MultipartFile } from '@fastify/multipart';
import { AppError, type ArtifactRequest, artifactRequestSchema, issuesOf, nameSchema } from '@selvedge/contract';
import type { FastifyRequest } from 'fastify';
import type { Upload } from '../artifact.ts';
import type { ArtifactStore, StagedUploads } from '../artifact-store.ts';
import { isOptional, type Tool } from '../define-tool.ts';
import { safeFileName } from '../fetch-input.ts';

export const MAX_REQUEST_BYTES = 1024 * 1024;
export const MAX_UPLOADED_FILES = 32;

export interface ReceivedRequest {
  readonly request: ArtifactRequest;
  readonly uploads: StagedUploads | undefined;
}

/** Reads POST /artifacts in either form and checks it against the tool; uploads are on disk afterwards, below the store's tmp folder. */
export async function receiveRequest(http: FastifyRequest, tool: Tool, store: ArtifactStore): Promise<ReceivedRequest> {
  if (!http.isMultipart()) return { request: checkRequest(http.body, tool, []), uploads: undefined };
  const folder = await store.stagingFolder();
  try {
    const { fields, files } = await receiveParts(http, folder);
    const request = checkRequest(parseJson(fields.get('request')), tool, files);
    return { request, uploads: { folder, files } };
  } catch (error) {
    await rm(folder, { recursive: true, force: true });
    throw error;
  }
}

async function receiveParts(http: FastifyRequest, folder: string): Promise<{ fields: Map<string, string>; files: Upload[] }> {
  const fields = new Map<string, string>();
  const files: Upload[] = [];
  for await (const part of http.parts()) {
    if (part.type === 'field') fields.set(part.fieldname, String(part.value));
    else files.push(await receiveFile(part, folder));
  }
  return { fields, files };
}

async function receiveFile(part: MultipartFile, folder: string): Promise<Upload> {
  const input = nameSchema.safeParse(part.fieldname);
  if (!input.success) throw invalid([{ path: part.fieldname.slice(0, 64), message: 'is not the name of an input' }]);
  const file = safeFileName(part.filename);
  await mkdir(join(folder, input.data));
  const hash = createHash('sha256');
  let sizeBytes = 0;
  const measured = async function* (chunks: AsyncIterable<Buffer>) {
    for await (const chunk of chunks) {
      hash.update(chunk);
      sizeBytes += chunk.length;
      yield chunk;
    }
  };
  await pipeline(part.file, measured, createWriteStream(join(folder, input.data, file), { flags: 'wx' }));
  if (part.file.truncated) throw new AppError('PAYLOAD_TOO_LARGE', { message: `The file for input "${input.data}" is too large.` });
  return { input: input.data, file, sha256: hash.digest('hex'), sizeBytes };
}

function parseJson(text: string | undefined): unknown {
  if (text === undefined)
    throw invalid([{ path: 'request', message: 'a multipart body needs the field "request" with the JSON of the request' }]);
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new AppError('DOCUMENT_SYNTAX', { message: 'The field "request" is not JSON.' }, { cause });
  }
}

function checkRequest(body: unknown, tool: Tool, uploads: readonly Upload[]): ArtifactRequest {
  const parsed = artifactRequestSchema.safeParse(body);
  if (!parsed.success) throw invalid(issuesOf(parsed.error));
  const request = parsed.data;
  const parameters = tool.parameters.safeParse(request.parameters);
  const issues = parameters.success
    ? []
    : issuesOf(parameters.error).map(({ path, message }) => ({ path: path === '' ? 'parameters' : `parameters.${path}`, message }));
  const given = [...Object.keys(request.inputs ?? {}), ...uploads.map((upload) => upload.input)];
  given.forEach((name, index) => {
    if (!Object.hasOwn(tool.inputs, name)) issues.push({ path: `inputs.${name}`, message: 'unknown input' });
    if (given.indexOf(name) !== index) issues.push({ path: `inputs.${name}`, message: 'is given twice' });
  });
  for (const [name, input] of Object.entries(tool.inputs)) {
    if (!isOptional(input) && !given.includes(name)) issues.push({ path: `inputs.${name}`, message: 'is missing' });
  }
  for (const [name, { url }] of Object.entries(request.inputs ?? {})) {
    if (!/^https?:/i.test(url)) issues.push({ path: `inputs.${name}.url`, message: 'must be an http or https URL' });
  }
  if (issues.length > 0) throw invalid(issues);
  return request;
}

function invalid(issues: { path: string; message: string }[]): AppError {
  return new AppError('INPUT_INVALID', {
    message: `The request cannot be accepted: ${issues.map(({ path, message }) => `${path}: ${message}`).join('; ')}.`,
    hint: 'GET / describes the parameters and inputs of this tool.',
    issues,
  });
}
