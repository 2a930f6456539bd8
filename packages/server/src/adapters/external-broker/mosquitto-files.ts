import { chmod, mkdir, readFile } from 'node:fs/promises';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import {
  DEVICE_PUBLISHES,
  DEVICE_TOPIC_ROOT,
  DEVICE_TOPICS,
  MAX_DEVICE_MESSAGE_BYTES,
  sha256Schema,
  timestampSchema,
} from '@selvedge/contract';
import { type Logger, readJsonFile, systemErrorCode, writeFileAtomic, writeJsonAtomic } from '@selvedge/runtime';
import * as z from 'zod';
import type { RevokedCertificate } from '../../ports/device-broker.ts';

/** Its capitals make it a name that no device can have. */
export const SERVER_AT_BROKER = 'Selvedge-Server';

const revokedSchema = z.array(z.object({ serial: z.string(), notAfter: timestampSchema, issuerSha256: sha256Schema.optional() }));

export interface MosquittoFilesOptions {
  readonly folder: string;
  readonly port: number;
  readonly clock: () => Date;
  /** What the listener shows. */
  readonly credentials: () => Promise<{ key: string; cert: string }>;
  readonly caPem: () => string;
  readonly revocationLists: (revoked: readonly RevokedCertificate[]) => Promise<string>;
  readonly log: Logger;
}

/** Everything that Mosquitto needs to stand in for the broker in the server, kept up to date in one folder. */
export class MosquittoFiles {
  readonly #options: MosquittoFilesOptions;

  constructor(options: MosquittoFilesOptions) {
    this.#options = options;
  }

  get #revokedPath(): string {
    return join(this.#options.folder, 'revoked.json');
  }

  /** Writes what differs; lets a broker that runs from this folder read it again. */
  async write(): Promise<void> {
    const { folder, port, credentials, caPem, clock } = this.#options;
    await mkdir(folder, { recursive: true, mode: 0o700 });
    await mkdir(join(folder, 'db'), { recursive: true, mode: 0o700 });
    const { key, cert } = await credentials();
    const now = clock().toISOString();
    const revoked = ((await readJsonFile(this.#revokedPath, revokedSchema)) ?? []).filter(({ notAfter }) => notAfter > now);
    const changed = [
      await this.#put('mosquitto.conf', configText(folder, port)),
      await this.#put('acl', ACL),
      await this.#put('ca.pem', caPem()),
      await this.#put('server.pem', cert),
      await this.#put('server.key', `${key}\n`),
    ];
    await this.#put('crl.pem', await this.#options.revocationLists(revoked));
    if (changed.includes(true)) await this.#reload();
  }

  /** On disk before the broker is told, so that a crash in between loses none. */
  async revoke(certificates: readonly RevokedCertificate[]): Promise<void> {
    const known = (await readJsonFile(this.#revokedPath, revokedSchema)) ?? [];
    const revoked = [...known, ...certificates.filter(({ serial }) => !known.some((one) => one.serial === serial))];
    await writeJsonAtomic(this.#revokedPath, revoked);
    await this.#put('crl.pem', await this.#options.revocationLists(revoked));
    await this.#reload();
  }

  async #put(name: string, text: string): Promise<boolean> {
    const path = join(this.#options.folder, name);
    if ((await readFile(path, 'utf8').catch(() => undefined)) === text) return false;
    await writeFileAtomic(path, text, { mode: 0o600 });
    await chmod(path, 0o600);
    return true;
  }

  /** SIGHUP to the Mosquitto that this folder's configuration has started on this machine, if there is one. */
  async #reload(): Promise<void> {
    const { folder, log } = this.#options;
    const pid = Number(await readFile(join(folder, 'mosquitto.pid'), 'utf8').catch(() => ''));
    const name = pid > 1 ? await readFile(`/proc/${pid}/comm`, 'utf8').catch(() => '') : '';
    if (name.trim() !== 'mosquitto') {
      log.warn('the broker must be told with SIGHUP to read its revocation list and certificates again', { folder });
      return;
    }
    try {
      process.kill(pid, 'SIGHUP');
    } catch (error) {
      log.warn('the broker could not be told to read its files again', { pid, error: systemErrorCode(error) ?? String(error) });
    }
  }
}

const DEVICE_HEARS = DEVICE_TOPICS.filter((topic) => !DEVICE_PUBLISHES.includes(topic));

const ACL = `# The server; no device can have this name.
user ${SERVER_AT_BROKER}
topic readwrite ${DEVICE_TOPIC_ROOT}/#

# A device, by the name in its certificate.
${DEVICE_PUBLISHES.map((topic) => `pattern write ${DEVICE_TOPIC_ROOT}/%u/${topic}`).join('\n')}
${DEVICE_HEARS.map((topic) => `pattern read ${DEVICE_TOPIC_ROOT}/%u/${topic}`).join('\n')}
`;

function configText(folder: string, port: number): string {
  return `# Written by the Selvedge server, which keeps it up to date: mosquitto -c ${join(folder, 'mosquitto.conf')}
# Only who starts as root changes to this user.
user ${userInfo().username}
pid_file ${join(folder, 'mosquitto.pid')}
# What was acknowledged to a device outlives a stop of the broker; of a crash it may lose the last seconds.
persistence true
persistence_location ${join(folder, 'db')}/
autosave_interval 10
# Without it each answer to a command waits 40 ms for an acknowledgement of TCP.
set_tcp_nodelay true
max_queued_messages 0
max_inflight_messages 1000
max_packet_size ${MAX_DEVICE_MESSAGE_BYTES + 1024}
per_listener_settings false
allow_anonymous false
acl_file ${join(folder, 'acl')}

listener ${port}
cafile ${join(folder, 'ca.pem')}
certfile ${join(folder, 'server.pem')}
keyfile ${join(folder, 'server.key')}
crlfile ${join(folder, 'crl.pem')}
require_certificate true
use_identity_as_username true
`;
}
