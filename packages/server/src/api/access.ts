import { AppError } from '@selvedge/contract';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { AuthService, Principal } from '../services/auth-service.ts';

export interface AccessOptions {
  auth: AuthService;
  /** Bound to loopback: only names of this machine are accepted as Host. */
  loopbackOnly: boolean;
}

const SAFE_METHODS = ['GET', 'HEAD', 'OPTIONS'];

/** Browsers send cookies to every port of a host; with the port in the name, two servers do not sign each other out. */
export function sessionCookieName(request: FastifyRequest): string {
  return `selvedge_session_${request.socket.localPort ?? 0}`;
}

/** Whether a Host header (`name:port`) names this machine itself. */
export function isLoopbackHost(host: string): boolean {
  const name = host.replace(/:\d+$/, '').toLowerCase();
  return name === 'localhost' || name === '[::1]' || /^127(\.\d{1,3}){3}$/.test(name);
}

/**
 * Who may do what, checked before a request's body is read:
 *
 * - bound to loopback, a Host header that is not this machine's is refused: a foreign name that resolves to 127.0.0.1
 *   would otherwise be same-origin for a page that an attacker serves (DNS rebinding);
 * - a cookie is sent by browsers unasked, so with one, a changing request must come from our own pages (Origin);
 * - the tools' token opens only what tools read.
 */
export function guardAccess(app: FastifyInstance, options: AccessOptions): void {
  app.decorateRequest('principal', null);
  app.addHook('onRequest', async (request) => {
    if (options.loopbackOnly && !isLoopbackHost(request.headers.host ?? '')) {
      throw new AppError('FORBIDDEN', {
        message: `This server does not answer for the host "${(request.headers.host ?? '').slice(0, 255)}".`,
        hint: 'Use the address that it printed when it started.',
      });
    }
    const scope = request.routeOptions.config.scope ?? 'public';
    const { authorization } = request.headers;
    request.principal = await identify(options.auth, request, authorization);
    // Signing in and out counts as changing too: a foreign page must not swap the user's session.
    if (authorization === undefined && !SAFE_METHODS.includes(request.method)) refuseForeignOrigin(request);
    if (scope !== 'public') authorize(request, scope);
  });
}

async function identify(auth: AuthService, request: FastifyRequest, authorization: string | undefined): Promise<Principal | null> {
  if (authorization !== undefined) {
    const token = /^Bearer +([\x21-\x7e]{1,512})$/i.exec(authorization)?.[1];
    return (token === undefined ? undefined : auth.fromToken(token)) ?? null;
  }
  const id = request.cookies[sessionCookieName(request)];
  return (id === undefined ? undefined : await auth.fromSession(id)) ?? null;
}

function authorize(request: FastifyRequest, scope: 'user' | 'tool'): void {
  const { principal } = request;
  if (principal === null) {
    throw new AppError('UNAUTHENTICATED', {
      message: request.headers.authorization === undefined ? 'Sign in first.' : 'The token is not valid.',
      hint: 'The token is in the file admin-token of the data folder; "selvedge open" prints an address that signs a browser in.',
    });
  }
  if (principal.via !== 'tool') return;
  const reads = request.method === 'GET' || request.method === 'HEAD';
  if (scope !== 'tool' || !reads) throw new AppError('FORBIDDEN', { message: "The tools' token does not open this." });
}

function refuseForeignOrigin(request: FastifyRequest): void {
  const { origin, host } = request.headers;
  const site = request.headers['sec-fetch-site'];
  const isCrossSite = site !== undefined && site !== 'same-origin' && site !== 'none';
  // A client that is no browser sends neither header, and has no cookie that somebody else could use.
  const hasCookie = request.cookies[sessionCookieName(request)] !== undefined;
  const isOwn = origin === undefined ? !hasCookie || site === 'same-origin' : hostOf(origin) === host;
  if (isCrossSite || !isOwn) {
    throw new AppError('FORBIDDEN', {
      message: 'The request comes from a page of another site.',
      hint: 'Programs authenticate with a bearer token.',
    });
  }
}

function hostOf(origin: string): string | undefined {
  return URL.canParse(origin) ? new URL(origin).host : undefined;
}
