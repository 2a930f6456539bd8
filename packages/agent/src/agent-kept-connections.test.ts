import { Agent, request } from 'node:http';
import { waitUntil } from '@selvedge/runtime';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { AgentRig } from './testing/agent-rig.ts';
import { makePackage } from './testing/make-package.ts';

const DEVICE = 'device-1';
let rig: AgentRig;
beforeEach(async () => {
  rig = await AgentRig.start();
});
afterEach((context) => rig.stop(context.task.result?.state === 'fail'));

/** A client with one kept connection. */
class KeptClient {
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 1 });
  readonly #port: number;
  /** Of our end of the connection, one per request: a second one means that it was closed in between. */
  readonly ports = new Set<number>();
  closed = 0;

  constructor(port: number) {
    this.#port = port;
  }

  /** @returns the version that answers. */
  version(): Promise<string> {
    return new Promise((resolve, reject) => {
      const call = request({ host: '127.0.0.1', port: this.#port, path: '/v2/models/colours', agent: this.#agent }, (response) => {
        let text = '';
        response.on('data', (chunk: Buffer) => (text += chunk.toString('utf8')));
        response.on('error', reject);
        response.on('end', () => resolve(JSON.parse(text).versions[0]));
      });
      call.on('socket', (socket) => {
        const note = () => {
          if (this.ports.has(socket.localPort ?? 0)) return;
          this.ports.add(socket.localPort ?? 0);
          socket.on('close', () => (this.closed += 1));
        };
        if (socket.connecting) socket.once('connect', note);
        else note();
      });
      call.on('error', reject);
      call.end();
    });
  }

  end(): void {
    this.#agent.destroy();
  }
}

describe('kept connections', () => {
  it('go on to the next version, busy or silent, and are never closed', async () => {
    await rig.join();
    const packs = [makePackage({ version: '1' }), makePackage({ version: '2', gain: 2 })];
    for (const pack of packs) rig.server.addPackage(pack);
    const serve = async (version: string) => {
      await rig.server.desire(
        DEVICE,
        packs.filter((pack) => pack.manifest.version === version).map((pack) => rig.server.workload(pack)),
      );
      const { port } = await rig.server.reported(`serves ${version}`, (workload) => workload.servingVersion === version);
      await waitUntil(async () => (await rig.modelServers()).length === 1, { timeoutMs: 30_000, what: 'the other version to end' });
      return port ?? 0;
    };
    rig.run();
    const port = await serve('1');
    const [busy, silent] = [new KeptClient(port), new KeptClient(port)];
    expect(await silent.version()).toBe('1');
    const seen: string[] = [];
    let stop = false;
    const load = (async () => {
      while (!stop) seen.push(await busy.version());
    })();
    for (const version of ['2', '1', '2']) {
      await serve(version);
      await waitUntil(() => seen.at(-1) === version, { timeoutMs: 30_000, what: `the busy client to hear from ${version}` });
    }
    // It asked nothing while three versions ended one after the other.
    expect(await silent.version()).toBe('2');
    stop = true;
    await load;
    for (const client of [busy, silent])
      expect({ connections: client.ports.size, closed: client.closed }).toEqual({ connections: 1, closed: 0 });
    for (const client of [busy, silent]) client.end();
  }, 120_000);
});
