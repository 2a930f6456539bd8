import type { Socket } from 'node:net';

/** The parts of Node's sockets that stand behind their interface: the same in all versions from 12 to 26. */
interface SocketInternals {
  _handle?: { readStop?: () => number } | null;
  server?: unknown;
}

/**
 * Has Node read no more of a connection, so that what comes from now on waits in the kernel for another process. Its own
 * way of sending a connection to a process would go on to read until that process has taken it, and drop what it read.
 *
 * @returns false for a connection that is closed, or that this version of Node keeps otherwise than we know.
 */
export function stopReading(socket: Socket & SocketInternals): boolean {
  const handle = socket._handle;
  if (socket.destroyed || typeof handle?.readStop !== 'function') return false;
  return handle.readStop() === 0;
}

/** As `stopReading`, for a connection of an HTTP server, which is also to forget it: Node would count its end as its own. */
export function detachFromServer(socket: Socket & SocketInternals): boolean {
  if (!stopReading(socket)) return false;
  socket.server = null;
  return true;
}
