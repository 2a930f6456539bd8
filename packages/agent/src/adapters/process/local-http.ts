export interface LocalAnswer {
  status: number;
  text: string;
}

const MAX_ANSWER_BYTES = 4 * 1024 * 1024;

/** One request to a server on this device. Rejects when it does not answer in time. */
export async function askLocal(
  port: number,
  options: { method: 'GET' | 'POST'; path: string; contentType?: string; body?: Uint8Array; timeoutMs: number; signal?: AbortSignal },
): Promise<LocalAnswer> {
  const { method, path, contentType, body, timeoutMs, signal } = options;
  // Loaded with the first call only: an agent that serves nothing does without HTTP.
  const { request } = await import('node:http');
  signal?.throwIfAborted();
  return new Promise((resolve, reject) => {
    const headers = body === undefined ? {} : { 'content-type': contentType ?? 'application/octet-stream', 'content-length': body.length };
    const call = request(
      { host: '127.0.0.1', port, method, path, headers, agent: false, ...(signal === undefined ? {} : { signal }) },
      (response) => {
        const chunks: Buffer[] = [];
        let size = 0;
        response.on('data', (chunk: Buffer) => {
          size += chunk.length;
          if (size > MAX_ANSWER_BYTES) call.destroy(new Error('the answer is too large'));
          else chunks.push(chunk);
        });
        response.on('end', () => resolve({ status: response.statusCode ?? 0, text: Buffer.concat(chunks).toString('utf8') }));
        response.on('error', reject);
      },
    );
    const timer = setTimeout(() => call.destroy(new Error(`no answer in ${timeoutMs} ms`)), timeoutMs);
    call.on('close', () => clearTimeout(timer));
    call.on('error', reject);
    call.end(body);
  });
}
