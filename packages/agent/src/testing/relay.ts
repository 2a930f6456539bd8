import { type AddressInfo, connect, createServer, type Socket } from 'node:net';

/**
 * A TCP relay that can go silent: connections stay open but nothing passes, as on a dead mobile link.
 *
 * @param delayMs - how much later everything arrives, each way.
 */
export async function startRelay(targetPort: number, delayMs = 0) {
  const pairs = new Set<[Socket, Socket]>();
  let silent = false;
  const server = createServer((client) => {
    const target = connect(targetPort, '127.0.0.1');
    pairs.add([client, target]);
    const pass = (to: Socket) => (chunk: Buffer) => {
      if (silent) return;
      // Timers of the same length end in the order in which they began.
      if (delayMs === 0) to.write(chunk);
      else setTimeout(() => to.writable && to.write(chunk), delayMs);
    };
    client.on('data', pass(target));
    target.on('data', pass(client));
    for (const [from, to] of [
      [client, target],
      [target, client],
    ] as const) {
      from.on('close', () => to.destroy());
      from.on('error', () => undefined);
    }
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    port: (server.address() as AddressInfo).port,
    setSilent: (value: boolean) => {
      silent = value;
    },
    close: () => {
      for (const [client, target] of pairs) {
        client.destroy();
        target.destroy();
      }
      server.close();
    },
  };
}
