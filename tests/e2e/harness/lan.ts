import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { SilentRelay } from './silent-relay.ts';

/** How a device is started behind its own link, and how that link is cut. */
export interface Link {
  /** Put before the command of the agent. */
  prefix: readonly string[];
  /** Address of the device port as the device reaches it. @param deviceUrl - as the server says it. */
  reach: (deviceUrl: string) => Promise<string>;
  /** Nothing passes any more; connections are not told. */
  cut: () => void;
  mend: () => void;
  /** Slows what comes to the device down to this, bits per second; undefined: no limit. */
  slow: (bitsPerS: number | undefined) => void;
}

/**
 * A network of devices, each with a link of its own that can be cut: as root, network namespaces and veth pairs on a bridge that is in
 * a namespace too (the server is reached through one more pair); otherwise a relay on loopback for each device.
 */
export class Lan {
  readonly isReal: boolean;
  readonly links: readonly Link[];
  readonly #names: readonly string[];
  readonly #serverAddress: string | undefined;
  readonly #relays: SilentRelay[] = [];

  private constructor(names: readonly string[], serverAddress: string | undefined, links: (lan: Lan) => Link[]) {
    this.#names = names;
    this.#serverAddress = serverAddress;
    this.isReal = serverAddress !== undefined;
    this.links = links(this);
  }

  static create(devices: number): Lan {
    if (process.getuid?.() === 0) return Lan.#createReal(devices);
    return new Lan([], undefined, (lan) => Array.from({ length: devices }, () => lan.#relayed()));
  }

  static #createReal(devices: number): Lan {
    const id = randomBytes(2).toString('hex');
    const [bridge, ...rest] = [`slv${id}lan`, ...Array.from({ length: devices }, (_, at) => `slv${id}d${at}`)] as [string, ...string[]];
    // 198.18.0.0/15 is set aside for tests of networks (RFC 2544).
    const net = `198.18.${Number.parseInt(id.slice(0, 2), 16)}`;
    const lan = new Lan([bridge, ...rest], `${net}.1`, () => rest.map((name, at) => realLink(bridge, name, `v${at}`)));
    try {
      for (const name of lan.#names) ip('netns', 'add', name);
      ip('-n', bridge, 'link', 'add', 'br0', 'type', 'bridge');
      ip('-n', bridge, 'link', 'set', 'br0', 'up');
      ip('link', 'add', `slv${id}s`, 'type', 'veth', 'peer', 'name', 'server', 'netns', bridge);
      ip('-n', bridge, 'link', 'set', 'server', 'master', 'br0', 'up');
      ip('addr', 'add', `${net}.1/24`, 'dev', `slv${id}s`);
      ip('link', 'set', `slv${id}s`, 'up');
      rest.forEach((name, at) => {
        ip('-n', name, 'link', 'set', 'lo', 'up');
        ip('-n', bridge, 'link', 'add', `v${at}`, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', name);
        ip('-n', bridge, 'link', 'set', `v${at}`, 'master', 'br0', 'up');
        ip('-n', name, 'addr', 'add', `${net}.${10 + at}/24`, 'dev', 'eth0');
        ip('-n', name, 'link', 'set', 'eth0', 'up');
      });
    } catch (error) {
      lan.#remove();
      throw error;
    }
    return lan;
  }

  /** Put after the server's command, so that the devices reach it. */
  get serverArgs(): readonly string[] {
    return this.#serverAddress === undefined ? [] : ['--device-host', this.#serverAddress];
  }

  async stop(): Promise<void> {
    await Promise.all(this.#relays.map((relay) => relay.stop()));
    this.#remove();
  }

  /** Interfaces go with the namespace that has one end of them. */
  #remove(): void {
    for (const name of this.#names) {
      try {
        ip('netns', 'delete', name);
      } catch {
        // it was not made
      }
    }
  }

  #relayed(): Link {
    const relay = new SilentRelay();
    this.#relays.push(relay);
    return {
      prefix: [],
      reach: (deviceUrl) => relay.start(deviceUrl),
      cut: () => relay.cut(),
      mend: () => relay.mend(),
      slow: (bitsPerS) => relay.slow(bitsPerS),
    };
  }
}

function realLink(bridge: string, name: string, port: string): Link {
  const tc = (...args: string[]) => execFileSync('nsenter', [`--net=/run/netns/${bridge}`, 'tc', 'qdisc', ...args], { stdio: 'pipe' });
  let isSlow = false;
  return {
    // Not "ip netns exec": that mounts /sys anew and hides the control groups.
    prefix: ['nsenter', `--net=/run/netns/${name}`],
    reach: async (deviceUrl) => deviceUrl,
    cut: () => ip('-n', bridge, 'link', 'set', port, 'down'),
    mend: () => ip('-n', bridge, 'link', 'set', port, 'up'),
    slow: (bitsPerS) => {
      if (isSlow) tc('del', 'dev', port, 'root');
      isSlow = bitsPerS !== undefined;
      if (bitsPerS !== undefined) tc('add', 'dev', port, 'root', 'tbf', 'rate', `${bitsPerS}bit`, 'burst', '4kb', 'latency', '400ms');
    },
  };
}

function ip(...args: string[]): void {
  execFileSync('ip', args, { stdio: 'pipe' });
}
