import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer, Socket } from 'node:net';
import { RawClient, until } from './fake-server.ts';

interface Message {
  type: string;
  port?: number;
  oldestRequestMs?: number;
}

/** The bytes that come stay in the kernel, for whoever gets the socket next. */
function stopReading(socket: Socket): void {
  const { _handle: handle } = socket as unknown as { _handle: { reading: boolean; readStop: () => number } };
  handle.reading = false;
  handle.readStop();
}

/** A model server as the child of a Node process that says exactly the messages that it is told to. */
export class RawAgent {
  readonly child: ChildProcess;
  /** Types of the messages so far, in order. */
  readonly said: string[] = [];
  /** Connections that were given back and are not handed on. */
  readonly back: Socket[] = [];
  port = 0;
  oldestRequestMs = -1;

  constructor(program: string, args: readonly string[], env: Readonly<Record<string, string>> = {}) {
    this.child = spawn(program, args, { env: { ...process.env, ...env }, stdio: ['ignore', 'ignore', 'ignore', 'ipc'] });
    this.child.on('message', (message: Message, handle) => {
      if (handle instanceof Socket) {
        stopReading(handle);
        handle.on('error', () => undefined);
        this.back.push(handle);
      }
      this.port = message.port ?? this.port;
      this.oldestRequestMs = message.oldestRequestMs ?? this.oldestRequestMs;
      this.said.push(message.type);
    });
  }

  /** How many messages of a type have come. */
  count(type: string): number {
    return this.said.filter((each) => each === type).length;
  }

  ready(): Promise<void> {
    return until('ready', () => this.said.includes('ready'));
  }

  tell(message: { type: string; giveBack?: boolean }): void {
    this.child.send(message);
  }

  hand(socket: Socket, more: { kept?: boolean } = {}): void {
    this.child.send({ type: 'connection', ...more }, socket);
  }

  /** Waits until a request waits for the model. */
  async isComputing(): Promise<void> {
    await until('a request waits', async () => {
      const pongs = this.count('pong');
      this.tell({ type: 'ping' });
      await until('a pong', () => this.count('pong') > pongs);
      return this.oldestRequestMs > 0;
    });
  }

  /** @returns the exit code. */
  async stop(): Promise<unknown> {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return this.child.exitCode;
    this.child.kill('SIGTERM');
    const [code] = await once(this.child, 'exit');
    return code;
  }
}

export interface HandingPort {
  port: number;
  /** Gets each connection, unread. */
  to: (socket: Socket) => void;
  /** A client, and its connection as it was accepted, unread. */
  connect: () => Promise<{ client: RawClient; socket: Socket }>;
  close: () => void;
}

/** A port whose connections are handed on, as the agent's serving port does. */
export async function listenAndHand(): Promise<HandingPort> {
  const server = createServer({ pauseOnConnect: true }, (socket) => {
    socket.on('error', () => undefined); // the client went away
    listening.to(socket);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  const listening: HandingPort = {
    port,
    to: () => undefined,
    close: () => server.close(),
    connect: async () => {
      const accepted = once(server, 'connection');
      const client = new RawClient(port);
      const [socket] = await accepted;
      return { client, socket };
    },
  };
  return listening;
}
