import type { ArtifactSummary, ToolDescription } from '@selvedge/contract';
import type { FastifyInstance } from 'fastify';
import type { Artifact } from '../artifact.ts';
import type { ArtifactRunner } from '../artifact-runner.ts';
import type { ArtifactStore } from '../artifact-store.ts';
import type { Tool } from '../define-tool.ts';
import { findArtifact, type NameParams } from './find-artifact.ts';
import { receiveRequest } from './receive-request.ts';

export interface ArtifactRoutesOptions {
  readonly tool: Tool;
  readonly describe: () => Promise<ToolDescription>;
  readonly store: ArtifactStore;
  readonly runner: ArtifactRunner;
}

/** What the tool is, and the life of artifacts: list, create, look at, cancel, delete. */
export function addArtifactRoutes(app: FastifyInstance, { tool, describe, store, runner }: ArtifactRoutesOptions): void {
  const summary = (artifact: Artifact): ArtifactSummary => ({
    name: artifact.name,
    type: tool.makes,
    tool: tool.name,
    // Relative to the tool's root, so that it is right behind the gateway as well.
    url: `/artifacts/${artifact.name}/`,
    state: artifact.status,
  });

  app.get('/', describe);

  app.get('/health', async () => ({
    status: 'ok',
    busyWith: runner.busyWith,
    queued: store.list().filter((artifact) => artifact.status.status === 'queued').length,
  }));

  app.get('/artifacts', async () => ({ items: store.list().map(summary) }));

  app.post('/artifacts', async (http, reply) => {
    const { request, uploads } = await receiveRequest(http, tool, store);
    const { artifact, created } = await store.create(request, uploads).finally(() => store.discard(uploads));
    if (created) runner.wake();
    return reply
      .code(created ? 202 : 200)
      .header('location', `/artifacts/${artifact.name}/`)
      .send(summary(artifact));
  });

  app.get<NameParams>('/artifacts/:name', async (request) => summary(findArtifact(store, request.params.name)));

  app.delete<NameParams>('/artifacts/:name', async (request, reply) => {
    const artifact = findArtifact(store, request.params.name);
    await runner.cancel(artifact);
    await store.remove(artifact);
    return reply.code(204).send();
  });

  app.post<NameParams>('/artifacts/:name/cancel', async (request, reply) => {
    const artifact = findArtifact(store, request.params.name);
    await runner.cancel(artifact);
    return reply.code(202).send(summary(artifact));
  });

  app.get<NameParams>('/artifacts/:name/status', async (request) => findArtifact(store, request.params.name).status);

  app.get<NameParams>('/artifacts/:name/input-parameters', async (request) => findArtifact(store, request.params.name).parameters);
}
