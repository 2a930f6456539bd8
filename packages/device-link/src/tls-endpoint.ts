import type { ConnectionOptions } from 'node:tls';

/** Where to connect and with what identity: host, port, servername, ca, key, cert. */
export type Endpoint = Pick<ConnectionOptions, 'host' | 'port' | 'servername' | 'ca' | 'key' | 'cert'>;
