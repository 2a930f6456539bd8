import { X509Certificate } from 'node:crypto';
import { connect as connectTcp, type Socket } from 'node:net';
import { connect, createSecureContext, type SecureContext, type TLSSocket } from 'node:tls';
import { AppError, SERVER_TLS_NAME } from '@selvedge/contract';
import { certificatesOf } from './certificate-facts.ts';
import type { ServerAccess } from './server-access.ts';

/** Extended key usage "server authentication". */
const SERVER_AUTH = '1.3.6.1.5.5.7.3.1';
const DAY_MS = 86_400_000;
const CONNECT_TIMEOUT_MS = 30_000;

/** Begins a connection. Whoever does must call `checkServer` before anything else. */
export function dialUnchecked(access: ServerAccess): TLSSocket {
  const { host, port, onSocket } = access;
  const known = prepare(access);
  const { context: secureContext, session } = known;
  const options = { servername: SERVER_TLS_NAME, rejectUnauthorized: false, secureContext, ...(session === undefined ? {} : { session }) };
  let way: { socket: Socket } | { host: string; port: number } = { host, port };
  if (onSocket !== undefined) {
    const socket = connectTcp({ host, port, noDelay: true });
    onSocket(socket);
    way = { socket };
  }
  const connection = connect({ ...options, ...way });
  if (access.isBroker !== true) keepSession(connection, known);
  return connection;
}

/** What others run as a broker may not be set up for sessions that are resumed, and end the connection then. */
function keepSession(connection: TLSSocket, known: Prepared): void {
  connection.on('session', (session) => {
    if (checked.has(connection)) known.session = session;
  });
  const forget = () => {
    known.session = undefined; // should the server take offence at it, the next connection does without
  };
  // one that finds nobody says nothing about the session
  connection.once('connect', () => connection.once('close', forget));
  connection.once('secureConnect', () => connection.off('close', forget));
}

/** What is made of an access once: making it takes longer than the rest of what a device does to connect, and a simulation connects thousands. */
interface Prepared {
  readonly context: SecureContext;
  /** Since when its own certificate is valid, a time of the server's; ms since the epoch. */
  readonly issuedAtMs: number | undefined;
  /** The newest one, for the next connection to go on with: without certificates, and with a third less to do for both sides. */
  session: Buffer | undefined;
}

const prepared = new WeakMap<ServerAccess, Prepared>();
/** The last ones: an agent reads its identity anew for each connection, and finds the same. */
const recent: { access: ServerAccess; made: Prepared }[] = [];
const MAX_RECENT = 3;

function prepare(access: ServerAccess): Prepared {
  const known = prepared.get(access) ?? recent.find((one) => isSame(one.access, access))?.made;
  const made = known ?? makePrepared(access);
  prepared.set(access, made);
  if (known !== undefined) return made;
  recent.unshift({ access, made });
  recent.length = Math.min(recent.length, MAX_RECENT);
  return made;
}

function isSame(a: ServerAccess, b: ServerAccess): boolean {
  return a.host === b.host && a.port === b.port && a.caPem === b.caPem && a.key === b.key && a.cert === b.cert;
}

function makePrepared({ key, cert }: ServerAccess): Prepared {
  const context = createSecureContext({
    // `checkServer` decides, and knows its authorities: the library's own look at the chain is time lost
    ca: [],
    minVersion: 'TLSv1.2',
    ...(key === undefined ? {} : { key }),
    ...(cert === undefined ? {} : { cert }),
  });
  const issuedAtMs = cert === undefined ? undefined : Date.parse(new X509Certificate(cert).validFrom);
  return { context, session: undefined, issuedAtMs };
}

/** Connections whose other end is the server: only these hand out sessions, so that whoever takes one up again is the server too. */
const checked = new WeakSet<TLSSocket>();

/** The last certificate that was found to be of these authorities and a server's, both of which stay so. */
let trusted: { caPem: string; leaf: Buffer } | undefined;

/**
 * Checks who is at the other end: a certificate for the server's fixed name that one of the pinned authorities has signed.
 *
 * TLS libraries compare its times with the machine's clock, which on a device without a battery begins in 1970. They are
 * compared here with what the device knows for sure: its own certificate was issued at a time of the server's, so a server's
 * certificate that had ended a day before then is not in use any more.
 *
 * @throws AppError SERVER_IDENTITY_MISMATCH (user).
 */
export function checkServer(socket: TLSSocket, access: ServerAccess): void {
  if (!socket.isSessionReused()) checkCertificate(socket, access);
  checked.add(socket);
}

function checkCertificate(socket: TLSSocket, access: ServerAccess): void {
  const leaf = socket.getPeerX509Certificate();
  const refuse = (reason: string) =>
    new AppError('SERVER_IDENTITY_MISMATCH', {
      message: `The server at ${access.host}:${access.port} is not the one that this device has joined: ${reason}.`,
      hint: 'Check the address. If the authority of the server was changed while this device was away, join again with a new token and --force.',
    });
  if (leaf === undefined) throw refuse('it shows no certificate');
  if (trusted?.caPem !== access.caPem || !trusted.leaf.equals(leaf.raw)) {
    const isIssuer = (authority: X509Certificate) => leaf.checkIssued(authority) && leaf.verify(authority.publicKey);
    if (!certificatesOf(access.caPem).some(isIssuer)) throw refuse('its certificate is of an authority that is not trusted');
    if (leaf.ca || leaf.checkHost(SERVER_TLS_NAME) === undefined || leaf.keyUsage?.includes(SERVER_AUTH) === false)
      throw refuse('its certificate is not that of a server');
    trusted = { caPem: access.caPem, leaf: leaf.raw };
  }
  const { issuedAtMs } = prepare(access);
  if (issuedAtMs !== undefined && Date.parse(leaf.validTo) < issuedAtMs - DAY_MS) throw refuse('its certificate has expired');
}

/**
 * A TLS connection to the server, checked.
 *
 * @throws AppError SERVER_UNREACHABLE (operational); SERVER_IDENTITY_MISMATCH (user); the signal's reason.
 */
export function connectToServer(access: ServerAccess, signal?: AbortSignal): Promise<TLSSocket> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted === true) return reject(signal.reason);
    const socket = dialUnchecked(access);
    const abort = () => socket.destroy(new Error('aborted'));
    const timer = setTimeout(() => socket.destroy(new Error(`no answer for ${CONNECT_TIMEOUT_MS / 1000} s`)), CONNECT_TIMEOUT_MS);
    signal?.addEventListener('abort', abort, { once: true });
    const settle = () => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', abort);
      socket.off('error', failed);
    };
    const failed = (cause: Error) => {
      settle();
      if (signal?.aborted === true) return reject(signal.reason);
      const message = `The server at ${access.host}:${access.port} did not answer: ${cause.message}`;
      reject(new AppError('SERVER_UNREACHABLE', { message }, { cause }));
    };
    socket.once('error', failed);
    socket.once('secureConnect', () => {
      settle();
      try {
        checkServer(socket, access);
        resolve(socket);
      } catch (error) {
        socket.destroy();
        reject(error);
      }
    });
  });
}
