import { createServer } from 'node:net';
import { AppError } from '@selvedge/contract';
import { systemErrorCode } from './system-error.ts';

/**
 * Calls `listen` and explains a taken or forbidden port.
 *
 * @param place.flag - the flag that moves the port, for the hint.
 * @throws AppError PORT_IN_USE (user), FORBIDDEN (user).
 */
export async function listenOrExplain<T>(listen: () => Promise<T>, place: { host: string; port: number; flag: string }): Promise<T> {
  try {
    return await listen();
  } catch (error) {
    const code = systemErrorCode(error);
    const data = { host: place.host, port: place.port };
    if (code === 'EADDRINUSE') {
      throw new AppError(
        'PORT_IN_USE',
        {
          message: `Port ${place.port} on ${place.host} is taken.`,
          hint: `Choose another one with ${place.flag}, or stop what uses it.`,
          data,
        },
        { cause: error },
      );
    }
    if (code === 'EACCES') {
      throw new AppError(
        'FORBIDDEN',
        {
          message: `Port ${place.port} on ${place.host} is not open to this user.`,
          hint: `Choose one above 1023 with ${place.flag}.`,
          data,
        },
        { cause: error },
      );
    }
    throw error;
  }
}

/** A loopback port that was free a moment ago; prefer listening on port 0. */
export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.on('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => (typeof address === 'object' && address !== null ? resolve(address.port) : reject(new Error('no address'))));
    });
  });
}
