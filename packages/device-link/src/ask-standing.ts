import { AppError, fromProblem, problemSchema } from '@selvedge/contract';
import type { ServerAccess } from './server-access.ts';
import { connectToServer } from './server-check.ts';

const MAX_ANSWER_BYTES = 64 * 1024;
const ANSWER_TIMEOUT_MS = 20_000;
/** There is no blob of this digest, so a server that knows the device answers 404. */
const PATH = `/device/v1/blobs/${'0'.repeat(64)}`;

/**
 * Asks the server whether it knows this device, with its certificate; this also makes a renewed certificate the current one,
 * and tells the server's time. Written on the bare connection, because an agent that is idle has no HTTP loaded.
 *
 * @returns undefined when the device is known, else why not, e.g. DEVICE_REVOKED or UNAUTHENTICATED.
 * @throws AppError SERVER_UNREACHABLE (operational), SERVER_IDENTITY_MISMATCH (user), the signal's reason.
 */
export async function askStanding(access: ServerAccess, signal?: AbortSignal): Promise<AppError | undefined> {
  const socket = await connectToServer(access, signal);
  const text = await new Promise<string>((resolve, reject) => {
    let answer = '';
    const fail = (reason: string) => {
      socket.destroy();
      reject(new AppError('SERVER_UNREACHABLE', { message: `The server at ${access.host}:${access.port} did not answer: ${reason}.` }));
    };
    socket.setTimeout(ANSWER_TIMEOUT_MS, () => fail('timeout'));
    socket.setEncoding('utf8');
    socket.on('data', (chunk: string) => {
      answer += chunk;
      if (answer.length > MAX_ANSWER_BYTES) fail('the answer is too large');
    });
    socket.on('error', (error) => fail(error.message));
    socket.on('end', () => resolve(answer));
    socket.on('close', () => fail('the connection was cut'));
    // HTTP/1.0, so that the body is not chunked and the connection ends with the answer.
    socket.write(`GET ${PATH} HTTP/1.0\r\nhost: ${access.host}\r\n\r\n`);
  });
  socket.destroy();
  return readAnswer(text, access);
}

function readAnswer(text: string, { host, port, onServerTime }: ServerAccess): AppError | undefined {
  const at = text.indexOf('\r\n\r\n');
  const head = text.slice(0, at);
  const status = Number(/^HTTP\/1\.\d (\d{3})/.exec(head)?.[1]);
  const atMs = Date.parse(/^date: (.+)$/im.exec(head)?.[1] ?? '');
  if (!Number.isNaN(atMs)) onServerTime?.(atMs);
  if (status === 404) return undefined;
  try {
    return fromProblem(problemSchema.parse(JSON.parse(text.slice(at + 4))));
  } catch (cause) {
    throw new AppError('SERVER_UNREACHABLE', { message: `${host}:${port} answered something that is not an answer.` }, { cause });
  }
}
