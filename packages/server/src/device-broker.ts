import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { AppError, type DeviceTrust, SERVER_TLS_NAME } from '@selvedge/contract';
import { type Logger, sha256Hex, systemErrorCode } from '@selvedge/runtime';
import type { BrokerAccess } from './adapters/external-broker/broker-connection.ts';
import { ExternalBroker, type ExternalBrokerOptions } from './adapters/external-broker/external-broker.ts';
import { MosquittoFiles, SERVER_AT_BROKER } from './adapters/external-broker/mosquitto-files.ts';
import type { CertificateAuthority } from './adapters/tls/certificate-authority.ts';
import type { BrokerConfig, ServerConfig } from './config.ts';
import type { DeviceBroker } from './ports/device-broker.ts';

const DEFAULT_PORT = 8883;

function addressOf(url: string): { host: string; port: number } {
  const { hostname, port } = new URL(url.replace(/^mqtts:/, 'https:'));
  const given = /:(\d+)$/.exec(url)?.[1];
  return { host: hostname.replace(/^\[|\]$/g, ''), port: port === '' && given === undefined ? DEFAULT_PORT : Number(given ?? port) };
}

/** Where devices are told to speak MQTT; undefined: on the device port. */
export function brokerAddress({ broker }: Pick<ServerConfig, 'broker'>): DeviceTrust['broker'] {
  return broker === null ? undefined : addressOf(broker.advertise ?? broker.url);
}

async function fileText(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (cause) {
    throw new AppError('FILE_UNREADABLE', { message: `${path} could not be read (${systemErrorCode(cause) ?? 'unknown'}).` }, { cause });
  }
}

export interface ExternalBrokerSetup {
  readonly broker: DeviceBroker;
  /** Keeps the files that Mosquitto reads up to date; called at the start and now and then. */
  readonly keepFiles: () => Promise<void>;
}

/** The broker that the settings name, with its files in the data folder. The authority must have been started before either is used. */
export function externalBroker(
  settings: BrokerConfig,
  options: {
    config: ServerConfig;
    authority: CertificateAuthority;
    handlers: ExternalBrokerOptions['handlers'];
    log: Logger;
    clock: () => Date;
  },
): ExternalBrokerSetup {
  const { config, authority, handlers, log, clock } = options;
  const { caFile, certFile, keyFile } = settings;
  const address = addressOf(settings.url);
  const files = new MosquittoFiles({
    folder: join(config.dataDir, 'broker'),
    port: address.port,
    clock,
    credentials: () => authority.serverCredentials(config.advertise),
    caPem: () => authority.trust.caPem,
    revocationLists: (revoked) => authority.revocationLists(revoked),
    log,
  });
  const access = async (): Promise<BrokerAccess> => {
    const own =
      certFile === null || keyFile === null
        ? await authority.clientCredentials(SERVER_AT_BROKER)
        : { cert: await fileText(certFile), key: await fileText(keyFile) };
    if (caFile === null) return { ...address, ...own, ca: authority.trust.caPem, serverName: SERVER_TLS_NAME };
    return { ...address, ...own, ca: await fileText(caFile), serverName: address.host };
  };
  const broker = new ExternalBroker({
    access,
    clientId: `selvedge-server-${sha256Hex(config.dataDir).slice(0, 12)}`,
    handlers,
    revoke: (certificates) => files.revoke(certificates),
    log,
  });
  return { broker, keepFiles: () => files.write() };
}
