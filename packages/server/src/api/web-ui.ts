import { join } from 'node:path';
import fastifyStatic from '@fastify/static';
import { AppError } from '@selvedge/contract';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { sendProblem } from './errors.ts';

/** Paths that are never a page. */
const API_PREFIXES = ['/api/', '/containers/', '/pipelines', '/metrics', '/health'];

function wantsPage(request: FastifyRequest): boolean {
  if (request.method !== 'GET' && request.method !== 'HEAD') return false;
  const path = request.url.split('?', 1)[0] ?? '';
  // A missing file (it has an extension) is missing, whatever the client accepts.
  if (API_PREFIXES.some((prefix) => path.startsWith(prefix)) || /\.\w+$/.test(path)) return false;
  return request.headers.accept?.includes('text/html') === true;
}

/**
 * Serves the built web UI: files under `assets/` have their digest in the name and are cached for ever; every other page
 * address gets index.html, which is checked anew each time. Anything else unknown is a problem document.
 */
export async function addWebUi(app: FastifyInstance, webDir: string | null): Promise<void> {
  if (webDir !== null) {
    await app.register(fastifyStatic, {
      root: webDir,
      cacheControl: false,
      setHeaders: (reply, path) => {
        const isHashed = path.startsWith(join(webDir, 'assets/'));
        void reply.header('cache-control', isHashed ? 'public, max-age=31536000, immutable' : 'no-cache');
      },
    });
  }
  app.setNotFoundHandler((request, reply) => {
    if (wantsPage(request) && webDir !== null) return reply.sendFile('index.html');
    const isRoot = request.url === '/';
    return sendProblem(
      reply,
      new AppError('NOT_FOUND', {
        message: isRoot
          ? 'The web UI is not built.'
          : `There is nothing at ${request.method} ${(request.url.split('?', 1)[0] ?? '').slice(0, 512)}.`,
        hint: isRoot ? 'Build it with "npm run build", then start the server again.' : 'GET /api/v1/openapi.json describes the API.',
      }),
    );
  });
}
