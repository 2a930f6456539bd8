import { type AddressInfo, connect, createServer, type Socket } from 'node:net';

/** A TCP relay that can go silent: connections stay open but nothing passes, as on a dead mobile link. */
export async function startRelay(targetPort: number) {
  const pairs = new Set<[Socket, Socket]>();
  let silent = false;
  const server = createServer((client) => {
    const target = connect(targetPort, '127.0.0.1');
    pairs.add([client, target]);
    client.on('data', (chunk) => silent || target.write(chunk));
    target.on('data', (chunk) => silent || client.write(chunk));
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
