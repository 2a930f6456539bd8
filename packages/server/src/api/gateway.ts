import httpProxy, { type FastifyHttpProxyOptions } from '@fastify/http-proxy';
import { AppError, nameSchema } from '@selvedge/contract';
import type { FastifyInstance } from 'fastify';
import * as z from 'zod';
import type { ApiServices } from './services.ts';

const paramsSchema = z.object({ name: nameSchema });

/** What only the user's connection to the server is concerned with. */
const STRIPPED_HEADERS = [
  'authorization',
  'cookie',
  'origin',
  'referer',
  'x-forwarded-for',
  'x-forwarded-host',
  'x-forwarded-proto',
  'forwarded',
];

function unavailable(name: string, reason: string | undefined): AppError {
  return new AppError('TOOL_UNAVAILABLE', {
    message: reason ?? `The ${name} tool does not answer.`,
    hint: '"selvedge module list" shows how the tools are.',
  });
}

const toolOf = (request: { params: unknown }): string => paramsSchema.parse(request.params).name;

/**
 * `/containers/{name}/…`: every tool behind the one user port. The user's credentials stop here; the tool sees the tools'
 * token. Bodies are streamed both ways.
 *
 * What a tool serves is data, perhaps somebody's HTML: it gets a policy under which nothing of it runs as our page.
 */
export async function addGateway(app: FastifyInstance, services: ApiServices): Promise<void> {
  await app.register(httpProxy, {
    upstream: '',
    prefix: '/containers/:name',
    rewritePrefix: '',
    httpMethods: ['GET', 'HEAD', 'POST', 'PUT', 'DELETE'],
    internalRewriteLocationHeader: false,
    config: { scope: 'tool' },
    disableRequestLogging: true,
    // A followed log may be quiet for as long as the work takes.
    undici: { bodyTimeout: 0, headersTimeout: 60_000 },
    preHandler: (request, _reply, done) => {
      const parsed = paramsSchema.safeParse(request.params);
      if (!parsed.success || !services.modules.has(parsed.data.name)) {
        done(new AppError('NOT_FOUND', { message: 'There is no such tool.', hint: '"selvedge module list" shows the tools.' }));
      } else if (services.toolAddress(parsed.data.name) === undefined) {
        done(unavailable(parsed.data.name, services.modules.whyDown(parsed.data.name)));
      } else {
        done();
      }
    },
    replyOptions: replyOptions(services),
  });
}

/** How requests and responses are changed on their way. */
function replyOptions(services: ApiServices): FastifyHttpProxyOptions['replyOptions'] & object {
  return {
    getUpstream: (request) => {
      const name = toolOf(request);
      const address = services.toolAddress(name);
      if (address === undefined) throw unavailable(name, services.modules.whyDown(name));
      return address;
    },
    // The proxy's own retries would wait for a tool that says "later"; the caller decides that.
    retryDelay: () => null,
    rewriteRequestHeaders: (_request, headers) => {
      const kept = Object.entries(headers).filter(([key]) => !STRIPPED_HEADERS.includes(key));
      return { ...Object.fromEntries(kept), authorization: `Bearer ${services.toolToken}` };
    },
    rewriteHeaders: (headers, request) => {
      const name = request === undefined ? '' : toolOf(request);
      const { location, 'set-cookie': _toolsCookie, ...kept } = headers;
      return {
        ...kept,
        ...(location === undefined ? {} : { location: rewriteLocation(location, name, services.toolAddress(name)) }),
        'content-security-policy': "default-src 'none'; sandbox",
        'x-content-type-options': 'nosniff',
      };
    },
    onError: (reply, { error }) => {
      const name = toolOf(reply.request);
      services.log.warn('gateway error', { tool: name, error: error.message });
      reply.send(unavailable(name, services.modules.whyDown(name)));
    },
  };
}

/** A tool's own path, with or without its address, as a path of the gateway; anything else stays. */
function rewriteLocation(location: string, tool: string, address: string | undefined): string {
  const path = address !== undefined && location.startsWith(`${address}/`) ? location.slice(address.length) : location;
  return path.startsWith('/') && !path.startsWith('//') ? `/containers/${tool}${path}` : location;
}
