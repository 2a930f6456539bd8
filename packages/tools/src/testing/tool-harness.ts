import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type ArtifactStatus, artifactStatusSchema } from '@selvedge/contract';
import { createLogger, waitUntil } from '@selvedge/runtime';
import type { Tool } from '../kit/index.ts';
import { type ServedTool, type ServeToolOptions, serveTool } from '../kit/serve-tool.ts';

export const TEST_TOKEN = 'token-of-the-tests-0123456789';

/** What a test sends to POST /artifacts. */
export interface TestRequest {
  readonly name: string;
  readonly parameters?: Record<string, unknown>;
  readonly inputs?: Record<string, { url: string; sha256?: string }>;
}

/** A client of one tool over a real socket. */
export class ToolClient {
  readonly url: string;

  constructor(url: string) {
    this.url = url;
  }

  fetch(path: string, init: RequestInit = {}): Promise<Response> {
    const headers = new Headers(init.headers);
    if (!headers.has('authorization')) headers.set('authorization', `Bearer ${TEST_TOKEN}`);
    return fetch(`${this.url}${path}`, { ...init, headers });
  }

  async json(path: string): Promise<unknown> {
    return (await this.fetch(path)).json();
  }

  async text(path: string): Promise<string> {
    return (await this.fetch(path)).text();
  }

  post(request: TestRequest): Promise<Response> {
    return this.fetch('/artifacts', {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ parameters: {}, ...request }),
    });
  }

  async status(name: string): Promise<ArtifactStatus> {
    return artifactStatusSchema.parse(await this.json(`/artifacts/${name}/status`));
  }

  waitFor(name: string, states: readonly ArtifactStatus['status'][], timeoutMs = 20_000): Promise<ArtifactStatus> {
    return waitUntil(
      async () => {
        const status = await this.status(name);
        return states.includes(status.status) ? status : undefined;
      },
      { timeoutMs, intervalMs: 10, what: `artifact ${name} to be ${states.join(' or ')}` },
    );
  }

  /** Posts and waits until it is finished, whatever the end. */
  async make(request: TestRequest): Promise<ArtifactStatus> {
    const response = await this.post(request);
    if (response.status !== 202) throw new Error(`POST answered ${response.status}: ${await response.text()}`);
    return this.waitFor(request.name, ['completed', 'failed', 'cancelled']);
  }
}

/** Starts tools on free ports with data folders of their own, and ends and removes them all. */
export class ToolHarness {
  readonly #stops: (() => Promise<void>)[] = [];

  async folder(): Promise<string> {
    const path = await mkdtemp(join(tmpdir(), 'selvedge-tools-'));
    this.#stops.push(() => rm(path, { recursive: true, force: true }));
    return path;
  }

  async serve(tool: Tool, options: Partial<ServeToolOptions> = {}): Promise<ServedTool & { client: ToolClient; dataDir: string }> {
    const dataDir = options.dataDir ?? (await this.folder());
    const served = await serveTool(tool, {
      dataDir,
      token: TEST_TOKEN,
      version: '0.0.0',
      codeDigest: 'test',
      logger: createLogger({ name: 'test', write: () => undefined }),
      fetch: { attempts: 3, backoff: { baseMs: 1, maxMs: 2 } },
      ...options,
    });
    let stopped: Promise<void> | undefined;
    const stop = () => {
      stopped ??= served.stop();
      return stopped;
    };
    this.#stops.push(stop);
    return { ...served, stop, client: new ToolClient(served.url), dataDir };
  }

  onEnd(stop: () => Promise<void>): void {
    this.#stops.push(stop);
  }

  async end(): Promise<void> {
    for (const stop of this.#stops.reverse()) await stop();
    this.#stops.length = 0;
  }
}
