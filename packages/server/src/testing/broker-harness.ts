import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type DeviceTopic, SERVER_TLS_NAME } from '@selvedge/contract';
import { createLogger, freePort } from '@selvedge/runtime';
import { DeviceListener } from '../adapters/device-port/device-listener.ts';
import { ExternalBroker } from '../adapters/external-broker/external-broker.ts';
import { MosquittoFiles, SERVER_AT_BROKER } from '../adapters/external-broker/mosquitto-files.ts';
import { CertificateAuthority } from '../adapters/tls/certificate-authority.ts';
import type { BrokerHandlers, DeviceBroker } from '../ports/device-broker.ts';
import { type Identity, makeRequest } from './device-client.ts';
import { Mosquitto } from './mosquitto.ts';

const log = createLogger({ name: 'test', level: 'error' });
const clock = () => new Date();

export interface BrokerHarness {
  readonly broker: DeviceBroker;
  /** Where devices connect. */
  readonly port: number;
  /** A device that is known, with a certificate of its own. */
  makeDevice(name: string): Promise<Identity>;
  stop(): Promise<void>;
}

async function scratchAuthority() {
  const folder = await mkdtemp(join(tmpdir(), 'broker-'));
  const authority = new CertificateAuthority({ folder: join(folder, 'authority'), clock });
  await authority.start();
  const known = new Map<string, string>();
  const makeDevice = async (name: string): Promise<Identity> => {
    const { csrPem, keyPem } = await makeRequest();
    const { pem, fingerprint256 } = await (await authority.readRequest(csrPem)).sign(name);
    known.set(name, fingerprint256);
    return { name, key: keyPem, cert: pem, ca: authority.caPem };
  };
  return { folder, authority, known, makeDevice };
}

/** A real Mosquitto, with the server's end of it. */
export async function startMosquitto(handlers: BrokerHandlers): Promise<BrokerHarness> {
  const { folder, authority, known, makeDevice } = await scratchAuthority();
  const port = await freePort();
  const files = new MosquittoFiles({
    folder: join(folder, 'broker'),
    port,
    clock,
    credentials: () => authority.serverCredentials([]),
    caPem: () => authority.caPem,
    revocationLists: (revoked) => authority.revocationLists(revoked),
    log,
  });
  await files.write();
  const mosquitto = new Mosquitto(folder, port);
  await mosquitto.start();
  const receivedLate = (device: string, topic: DeviceTopic, payload: Uint8Array) =>
    handlers.received({ id: 'late', device, instanceId: '', address: '' }, topic, payload);
  const own = await authority.clientCredentials(SERVER_AT_BROKER);
  const broker = new ExternalBroker({
    access: async () => ({ host: '127.0.0.1', port, serverName: SERVER_TLS_NAME, ca: authority.caPem, ...own }),
    clientId: 'selvedge-server-test',
    handlers: { ...handlers, isKnown: async (device) => known.has(device), receivedLate },
    revoke: (certificates) => files.revoke(certificates),
    log,
  });
  await broker.start();
  const stop = async () => {
    await broker.stop();
    await mosquitto.stop();
    await rm(folder, { recursive: true });
  };
  return { broker, port, makeDevice, stop };
}

/** The broker of the device port. */
export async function startEmbedded(handlers: BrokerHandlers): Promise<BrokerHarness> {
  const { folder, authority, known, makeDevice } = await scratchAuthority();
  const refuse = () => Promise.reject(new Error('not here'));
  const identify = async ({ commonName, fingerprint256 }: { commonName: string; fingerprint256: string }) => {
    if (known.get(commonName) !== fingerprint256) throw new Error('nobody that is known');
    return { name: commonName, uid: commonName };
  };
  const http = {
    ...{ join: refuse, renew: refuse, trustOf: refuse, statBlob: refuse, openBlob: refuse, offerDelta: refuse, offerPackageDelta: refuse },
    ...{ sentBytes: refuse, receive: refuse },
  };
  const listener = new DeviceListener({ host: '127.0.0.1', port: 0, handlers: { ...handlers, ...http, identify }, log });
  await listener.mqtt.start();
  const port = await listener.start({ ...(await authority.serverCredentials([])), ca: authority.caPem });
  const stop = async () => {
    await listener.stop();
    await rm(folder, { recursive: true });
  };
  return { broker: listener.mqtt, port, makeDevice, stop };
}
