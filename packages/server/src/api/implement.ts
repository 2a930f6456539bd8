import { problemSchema, ROUTES, type Route, type RouteName } from '@selvedge/contract';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import * as z from 'zod';
import type { Principal } from '../services/auth-service.ts';

type Parsed<R, K extends string> = K extends keyof R ? (R[K] extends z.ZodType ? z.output<R[K]> : undefined) : undefined;

/** One request to a route of the contract, with its parts checked. */
interface Call<R extends Route> {
  readonly params: Parsed<R, 'params'>;
  readonly query: Parsed<R, 'query'>;
  readonly body: Parsed<R, 'body'>;
  readonly request: FastifyRequest;
  readonly reply: FastifyReply;
  /** Who asks; routes of scope `public` get null when nobody is signed in. */
  readonly principal: Principal | null;
  /** Aborts when the client goes away. */
  readonly signal: AbortSignal;
}

/** What a handler returns: the JSON of the response, nothing (204), or the reply itself when it streams. */
type Outcome<R extends Route> = R extends { response: infer S extends z.ZodType }
  ? z.input<S>
  : R extends { download: string }
    ? FastifyReply
    : undefined | FastifyReply;

export type Handler<R extends Route> = (call: Call<R>) => Promise<Outcome<R>>;
/** A handler for every route: leaving one out does not compile. */
export type Handlers = { readonly [K in RouteName]: Handler<(typeof ROUTES)[K]> };

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Who may call; routes without one are public (the pages of the web UI). */
    scope?: Route['scope'];
  }
  interface FastifyRequest {
    principal: Principal | null;
  }
}

/**
 * Routes whose response is what the store has read, which checks its rows by the same schemas (and drops what they do not name).
 * To check a thousand resources or points a second time takes longer than all the rest of such a request.
 */
const CHECKED_BY_STORE: ReadonlySet<string> = new Set<RouteName>(['listResources', 'getResource', 'getRunMetrics', 'getDeviceTelemetry']);

const responseOf = (route: Route) => {
  const status = route.status ?? 200;
  if (route.response !== undefined) return { [status]: route.response };
  if (route.download !== undefined) return { [status]: { description: 'Stream', content: { [route.download]: { schema: z.string() } } } };
  return { [status]: z.null().describe('No content') };
};

/** Fastify's form of a route of the contract, without a handler. */
export function routeOptions(key: string, route: Route) {
  return {
    method: route.method,
    url: route.path.replace(/\{(\w+)\}/g, ':$1'),
    config: { scope: route.scope },
    schema: {
      operationId: key,
      summary: route.summary,
      tags: [route.tag],
      ...(route.params === undefined ? {} : { params: route.params }),
      ...(route.query === undefined ? {} : { querystring: route.query }),
      ...(route.body === undefined ? {} : { body: route.body }),
      ...(route.scope === 'public' ? { security: [] } : {}),
      response: { ...responseOf(route), default: problemSchema.describe('Problem details (RFC 9457)') },
    },
  };
}

/** Adds one route of the contract to the app. */
export function implementRoute<R extends Route>(app: FastifyInstance, key: string, route: R, handle: Handler<R>): void {
  app.route({
    ...routeOptions(key, route),
    ...(CHECKED_BY_STORE.has(key) ? { serializerCompiler: () => (data: unknown) => JSON.stringify(data) } : {}),
    handler: async (request, reply) => {
      const gone = new AbortController();
      reply.raw.once('close', () => gone.abort());
      if (route.status !== undefined) reply.code(route.status);
      const { params, query, body, principal } = request;
      // The parts were checked by the validator with the schemas of this very route.
      const call = { params, query, body, request, reply, principal, signal: gone.signal } as Call<R>;
      const outcome: unknown = await handle(call);
      // A reply counts as undefined here: awaited, it waits until all is sent, or until the client has gone in the middle.
      if (outcome !== undefined || reply.raw.headersSent || gone.signal.aborted) return outcome;
      return reply.send();
    },
  });
}

/** Adds every route of the contract. Routes that take a stream get their body unparsed. */
export async function implementAll(app: FastifyInstance, handlers: Handlers): Promise<void> {
  const names = Object.keys(ROUTES).filter((key): key is RouteName => Object.hasOwn(ROUTES, key));
  const add = <K extends RouteName>(scope: FastifyInstance, key: K) => implementRoute(scope, key, ROUTES[key], handlers[key]);
  const takesStream = (key: RouteName) => 'upload' in ROUTES[key];
  for (const key of names.filter((name) => !takesStream(name))) add(app, key);
  await app.register(async (scope) => {
    scope.removeAllContentTypeParsers();
    scope.addContentTypeParser('*', (_request, payload, done) => done(null, payload));
    for (const key of names.filter(takesStream)) add(scope, key);
  });
}
