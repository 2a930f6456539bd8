import { AppError } from '@selvedge/contract';
import { sessionCookieName } from '../access.ts';
import type { EventStream } from '../event-stream.ts';
import type { Handlers } from '../implement.ts';
import type { ServerRegistry } from '../server-metrics.ts';
import type { ApiServices } from '../services.ts';

/** The server itself: health, metrics, sign-in, events, modules. */
export function serverRoutes(services: ApiServices, events: EventStream, registry: ServerRegistry) {
  const { auth, modules, devices, version, startedAt, devicePort, clock } = services;
  return {
    getHealth: async () => {
      const list = modules.list();
      return {
        status: list.every((module) => module.state === 'healthy') ? 'ok' : 'degraded',
        version,
        uptimeS: (clock().getTime() - startedAt.getTime()) / 1000,
        modules: list,
        devicePort,
        devices: devices.counts(),
      };
    },
    getServerMetrics: async ({ reply }) => reply.type(registry.contentType).send(await registry.metrics()),
    getWhoami: async ({ principal }) => {
      if (principal === null || principal.via === 'tool') throw new AppError('UNAUTHENTICATED', { message: 'Sign in first.' });
      return { name: principal.name, via: principal.via, version, devicePort };
    },
    createLoginCode: async ({ principal }) => auth.createLoginCode(principal?.name),
    createSession: async ({ body, request, reply }) => {
      const { id, maxAgeS } = await auth.openSession(body);
      return reply.setCookie(sessionCookieName(request), id, { path: '/', httpOnly: true, sameSite: 'strict', maxAge: maxAgeS }).send();
    },
    deleteSession: async ({ request, reply }) => {
      const name = sessionCookieName(request);
      const id = request.cookies[name];
      if (id !== undefined) await auth.closeSession(id);
      return reply.clearCookie(name, { path: '/', httpOnly: true, sameSite: 'strict' }).send();
    },
    streamEvents: async ({ reply, query }) => events.attach(reply, query.kinds),
    listModules: async () => ({ items: modules.list() }),
  } satisfies Partial<Handlers>;
}
