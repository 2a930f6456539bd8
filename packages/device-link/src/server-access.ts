import type { Socket } from 'node:net';

/**
 * What a call needs to reach the server and to know it: the pinned authorities, and our identity where there is one. Not to be
 * changed once it is used: what is made of it is kept with it.
 */
export interface ServerAccess {
  readonly host: string;
  readonly port: number;
  /** The only authorities that are trusted, PEM. */
  readonly caPem: string;
  /** Our private key and certificate, PEM. */
  readonly key?: string;
  readonly cert?: string;
  /** It is a broker of its own, which forgets who is there unless that is retained. */
  isBroker?: boolean;
  /** Told the server's time, as it is in each of its HTTP answers; Unix milliseconds. */
  onServerTime?: (atMs: number) => void;
  /** Given each connection below its TLS, before it is made: who counts bytes counts them there. */
  onSocket?: (socket: Socket) => void;
}
