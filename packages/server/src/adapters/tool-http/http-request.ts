import { type Agent, request as httpRequest, type IncomingMessage } from 'node:http';
import { AppError, fromProblem, problemSchema } from '@selvedge/contract';
import { readBounded } from '@selvedge/runtime';

/** JSON answers of a tool are lists and statuses; more than this is a fault. */
const MAX_JSON_BYTES = 32 * 1024 * 1024;

export interface ToolRequest {
  method: 'GET' | 'POST' | 'DELETE';
  url: string;
  token: string;
  json?: unknown;
  /** Milliseconds without a byte after which the tool counts as not answering; 0: no limit (a followed log may be quiet). */
  idleTimeoutMs: number;
  signal?: AbortSignal | undefined;
}

function unavailable(tool: string, cause: unknown): AppError {
  return new AppError(
    'TOOL_UNAVAILABLE',
    { message: `The ${tool} tool does not answer.`, hint: '"selvedge module list" shows how the tools are.' },
    { cause },
  );
}

/** Sends one request; resolves with the response's head, the body is still to be read. */
export function sendToTool(agent: Agent, tool: string, request: ToolRequest): Promise<IncomingMessage> {
  const body = request.json === undefined ? undefined : Buffer.from(JSON.stringify(request.json));
  const headers = {
    authorization: `Bearer ${request.token}`,
    ...(body === undefined ? {} : { 'content-type': 'application/json', 'content-length': body.length }),
  };
  return new Promise((resolve, reject) => {
    const { method, signal } = request;
    const outgoing = httpRequest(request.url, { method, agent, headers, ...(signal === undefined ? {} : { signal }) });
    outgoing.on('response', resolve);
    outgoing.on('error', (error) => reject(signal?.aborted === true ? signal.reason : unavailable(tool, error)));
    if (request.idleTimeoutMs > 0) {
      outgoing.setTimeout(request.idleTimeoutMs, () => outgoing.destroy(new Error(`no answer in ${request.idleTimeoutMs} ms`)));
    }
    outgoing.end(body);
  });
}

/** The whole body as text; a tool that dies in the middle counts as unavailable. */
export async function bodyOf(tool: string, response: IncomingMessage): Promise<string> {
  try {
    return (await readBounded(response, MAX_JSON_BYTES, `The content is larger than ${MAX_JSON_BYTES} bytes.`)).toString('utf8');
  } catch (error) {
    if (error instanceof AppError) throw error;
    throw unavailable(tool, error);
  }
}

/** The error in a response that is not 2xx. */
export async function errorOf(tool: string, response: IncomingMessage): Promise<AppError> {
  const text = await bodyOf(tool, response);
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch {
    parsed = undefined; // not a problem document: the status is all there is to tell
  }
  const problem = problemSchema.safeParse(parsed);
  if (problem.success) return fromProblem(problem.data);
  return new AppError('INTERNAL', { message: `The ${tool} tool answered with HTTP ${response.statusCode ?? 0}.` });
}
