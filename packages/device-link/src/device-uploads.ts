import { AppError, fromProblem, problemSchema } from '@selvedge/contract';
import { openRequest, readText } from './device-http.ts';
import type { ServerAccess } from './server-access.ts';

const pathOf = (operation: string) => `/device/v1/uploads/${operation}`;

/** How much the server has of what is sent for an operation. @throws AppError NOT_FOUND when it wants nothing; SERVER_UNREACHABLE. */
export async function sentBytes(access: ServerAccess, operation: string, signal: AbortSignal): Promise<number> {
  const response = await openRequest(access, { method: 'HEAD', path: pathOf(operation) }, undefined, signal);
  response.resume();
  const offset = Number(response.headers['upload-offset']);
  if (response.statusCode === 200 && Number.isSafeInteger(offset)) return offset;
  if (response.statusCode === 404) throw new AppError('NOT_FOUND', { message: 'The server wants no file for this operation.' });
  throw new AppError('SERVER_UNREACHABLE', { message: `The server answered HTTP ${response.statusCode}.` });
}

/** Sends the rest of a file, from `offset` on. @throws AppError the one that the server answered with; SERVER_UNREACHABLE. */
export async function sendPart(
  access: ServerAccess,
  operation: string,
  { offset, size, content }: { offset: number; size: number; content: AsyncIterable<Uint8Array> },
  signal: AbortSignal,
): Promise<void> {
  const path = `${pathOf(operation)}?offset=${offset}&size=${size}`;
  const headers = { 'content-type': 'application/octet-stream', 'content-length': size - offset };
  const response = await openRequest(access, { method: 'PUT', path, headers }, content, signal);
  const answer = await readText(response);
  if (response.statusCode === 200) return;
  const problem = problemSchema.safeParse(parse(answer));
  if (problem.success && problem.data.code !== 'CONFLICT') throw fromProblem(problem.data);
  throw new AppError('SERVER_UNREACHABLE', { message: `The server answered HTTP ${response.statusCode}.` });
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined; // refused by the schema
  }
}
