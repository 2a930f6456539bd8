import { mkdir, open, readFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { AppError, nameSchema } from '@selvedge/contract';
import { systemErrorCode } from '@selvedge/runtime';
import * as z from 'zod';

const headSchema = z.object({ caPem: z.string(), caSha256: z.string(), keyPem: z.string() });
const identitySchema = z.object({ device: nameSchema, certPem: z.string() });
export type SimulatedIdentity = z.infer<typeof identitySchema>;
export type SimulationHead = z.infer<typeof headSchema>;

/**
 * The identities of simulated devices, one JSON line each after a head with what they share: the CA and one private key,
 * since it is their certificates that tell them apart. A line that a crash cut off is left out: that device joins anew.
 */
export class Identities {
  readonly #path: string;
  head: SimulationHead | undefined;
  readonly all: SimulatedIdentity[] = [];

  constructor(path: string) {
    this.#path = path;
  }

  /** @throws AppError INPUT_INVALID (user) when the file is something else. */
  async load(): Promise<void> {
    let text: string;
    try {
      text = await readFile(this.#path, 'utf8');
    } catch (error) {
      if (systemErrorCode(error) === 'ENOENT') return;
      throw error;
    }
    const [first = '', ...rest] = text.split('\n');
    const head = headSchema.safeParse(parse(first));
    if (!head.success) throw new AppError('INPUT_INVALID', { message: `${this.#path} does not hold identities of simulated devices.` });
    this.head = head.data;
    for (const line of rest) {
      const identity = identitySchema.safeParse(parse(line));
      if (identity.success) this.all.push(identity.data);
    }
  }

  async create(head: SimulationHead): Promise<void> {
    await mkdir(dirname(this.#path), { recursive: true });
    const file = await open(this.#path, 'w', 0o600);
    await file.write(`${JSON.stringify(head)}\n`);
    await file.close();
    this.head = head;
    this.all.length = 0;
  }

  async add(identity: SimulatedIdentity): Promise<void> {
    this.all.push(identity);
    const file = await open(this.#path, 'a', 0o600);
    await file.write(`${JSON.stringify(identity)}\n`);
    await file.close();
  }
}

function parse(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    return undefined; // refused by the schema that follows
  }
}
