import { Socket } from 'node:net';
import { type FromModelServer, toModelServerSchema } from '../domain/model-process-messages.ts';
import type { ModelHttpServer } from './model-http-server.ts';

/** Sends to the agent, of which this process is a child; resolves when it is written. Nothing happens when there is no agent. */
export function tellAgent(message: FromModelServer): Promise<void> {
  return new Promise((resolve) => {
    if (process.send === undefined || !process.connected) resolve();
    else process.send(message, undefined, {}, () => resolve());
  });
}

/**
 * Lets the agent hand connections to a server, drain it, and ask whether it hangs.
 *
 * @param oldestRequestMs - how long the oldest request has been under way; 0 when there is none, or when others look after that.
 */
export function obeyAgent(server: ModelHttpServer, oldestRequestMs: () => number, onUnknown: () => void): void {
  process.on('message', (raw: unknown, handle: unknown) => {
    const message = toModelServerSchema.safeParse(raw);
    if (!message.success) return onUnknown();
    switch (message.data.type) {
      case 'connection':
        if (handle instanceof Socket) server.take(handle, message.data.kept);
        return;
      case 'ping':
        void tellAgent({ type: 'pong', oldestRequestMs: oldestRequestMs() });
        return;
      case 'resume':
        return server.resume();
      case 'drain':
        void server.drain(message.data.giveBack ? giveToAgent : undefined).then(() => tellAgent({ type: 'drained' }));
    }
  });
}

function giveToAgent(connection: Socket): void {
  const message: FromModelServer = { type: 'connection' };
  if (process.send === undefined || !process.connected) connection.destroy();
  else process.send(message, connection, {}, (error) => error !== null && connection.destroy());
}
