import { createServer, type IncomingMessage, type RequestListener, type ServerResponse } from 'node:http';

export interface FileServer {
  readonly origin: string;
  /** What was asked, oldest first. */
  readonly requests: readonly IncomingMessage[];
  close(): Promise<void>;
}

/** An HTTP server on a free loopback port that answers as the test says. */
export function startFileServer(answer: (request: IncomingMessage, response: ServerResponse) => void): Promise<FileServer> {
  const requests: IncomingMessage[] = [];
  const listener: RequestListener = (request, response) => {
    requests.push(request);
    answer(request, response);
  };
  const server = createServer(listener);
  return new Promise((resolve) => {
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      const port = typeof address === 'object' && address !== null ? address.port : 0;
      const close = () =>
        new Promise<void>((done) => {
          server.close(() => done());
          server.closeAllConnections();
        });
      resolve({ origin: `http://127.0.0.1:${port}`, requests, close });
    });
  });
}
