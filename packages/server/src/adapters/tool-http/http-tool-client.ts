import { Agent, type IncomingMessage } from 'node:http';
import type { Readable } from 'node:stream';
import {
  AppError,
  type ArtifactRequest,
  type ArtifactStatus,
  type ArtifactSummary,
  artifactStatusSchema,
  artifactSummarySchema,
  type MetricPoint,
  metricPointSchema,
  type ToolDescription,
  toolDescriptionSchema,
  toolHealthSchema,
} from '@selvedge/contract';
import * as z from 'zod';
import type { ToolAddress, ToolClient, ToolHealth } from '../../ports/tool-client.ts';
import { bodyOf, errorOf, sendToTool, type ToolRequest } from './http-request.ts';

const JSON_IDLE_MS = 15_000;
const STREAM_IDLE_MS = 60_000;
const artifactListSchema = z.object({ items: z.array(artifactSummarySchema) });
const metricListSchema = z.object({ items: z.array(z.string()) });

export interface HttpToolClientOptions {
  addressOf: ToolAddress;
  token: string;
}

type Call = Omit<ToolRequest, 'url' | 'token' | 'idleTimeoutMs'> & { path: string; idleTimeoutMs?: number };

const artifactPath = (artifact: string, rest: string): string => `/artifacts/${encodeURIComponent(artifact)}/${rest}`;

/** Speaks the tool API over loopback HTTP with connections kept open. */
export class HttpToolClient implements ToolClient {
  readonly #addressOf: ToolAddress;
  readonly #token: string;
  readonly #agent = new Agent({ keepAlive: true, maxFreeSockets: 4 });

  constructor(options: HttpToolClientOptions) {
    this.#addressOf = options.addressOf;
    this.#token = options.token;
  }

  /** Closes idle connections. */
  close(): void {
    this.#agent.destroy();
  }

  async health(tool: string, signal?: AbortSignal): Promise<ToolHealth> {
    return this.#json(tool, { method: 'GET', path: '/health', signal, idleTimeoutMs: 5000 }, toolHealthSchema);
  }

  async describe(tool: string): Promise<ToolDescription> {
    return this.#json(tool, { method: 'GET', path: '/' }, toolDescriptionSchema);
  }

  async getStatus(tool: string, artifact: string): Promise<ArtifactStatus | undefined> {
    return absentAsUndefined(() => this.#json(tool, { method: 'GET', path: artifactPath(artifact, 'status') }, artifactStatusSchema));
  }

  async listArtifacts(tool: string): Promise<ArtifactSummary[]> {
    return (await this.#json(tool, { method: 'GET', path: '/artifacts' }, artifactListSchema)).items;
  }

  async createArtifact(tool: string, request: ArtifactRequest): Promise<void> {
    await this.#done(tool, { method: 'POST', path: '/artifacts', json: request });
  }

  async cancelArtifact(tool: string, artifact: string): Promise<boolean> {
    return this.#existed(tool, { method: 'POST', path: artifactPath(artifact, 'cancel') });
  }

  async removeArtifact(tool: string, artifact: string): Promise<boolean> {
    return this.#existed(tool, { method: 'DELETE', path: artifactPath(artifact, '') });
  }

  async listMetrics(tool: string, artifact: string): Promise<string[]> {
    const list = await absentAsUndefined(() =>
      this.#json(tool, { method: 'GET', path: artifactPath(artifact, 'metrics') }, metricListSchema),
    );
    return list?.items ?? [];
  }

  async readMetricPoints(tool: string, artifact: string, metric: string, skip: number): Promise<MetricPoint[]> {
    const path = artifactPath(artifact, `metrics/${encodeURIComponent(metric.replaceAll('/', '.'))}/points?after=${skip}`);
    const response = await absentAsUndefined(() => this.#send(tool, { method: 'GET', path }));
    if (response === undefined) return [];
    const lines = (await bodyOf(tool, response)).split('\n').filter((line) => line !== '');
    return lines.map((line) => metricPointSchema.parse(JSON.parse(line)));
  }

  async openFile(tool: string, artifact: string, path: string, signal?: AbortSignal): Promise<Readable | undefined> {
    const encoded = path.split('/').map(encodeURIComponent).join('/');
    return this.#stream(tool, { method: 'GET', path: artifactPath(artifact, `data/${encoded}`), signal, idleTimeoutMs: STREAM_IDLE_MS });
  }

  async openLog(tool: string, artifact: string, options: { follow: boolean; signal?: AbortSignal }): Promise<Readable | undefined> {
    const path = artifactPath(artifact, options.follow ? 'log?follow=1' : 'log');
    return this.#stream(tool, { method: 'GET', path, signal: options.signal, idleTimeoutMs: options.follow ? 0 : STREAM_IDLE_MS });
  }

  async #send(tool: string, call: Call): Promise<IncomingMessage> {
    const address = this.#addressOf(tool);
    if (address === undefined) {
      throw new AppError('TOOL_UNAVAILABLE', {
        message: `The ${tool} tool is not running.`,
        hint: '"selvedge module list" shows how the tools are.',
      });
    }
    const { path, ...rest } = call;
    const response = await sendToTool(this.#agent, tool, { idleTimeoutMs: JSON_IDLE_MS, ...rest, url: address + path, token: this.#token });
    if ((response.statusCode ?? 500) >= 300) throw await errorOf(tool, response);
    return response;
  }

  async #json<S extends z.ZodType>(tool: string, call: Call, schema: S): Promise<z.output<S>> {
    const text = await bodyOf(tool, await this.#send(tool, call));
    return schema.parse(JSON.parse(text));
  }

  async #done(tool: string, call: Call): Promise<void> {
    await bodyOf(tool, await this.#send(tool, call));
  }

  async #existed(tool: string, call: Call): Promise<boolean> {
    const done = await absentAsUndefined(async () => {
      await this.#done(tool, call);
      return true;
    });
    return done ?? false;
  }

  async #stream(tool: string, call: Call): Promise<Readable | undefined> {
    return absentAsUndefined(() => this.#send(tool, call));
  }
}

/** What is not there is an answer, not an error. */
async function absentAsUndefined<T>(work: () => Promise<T>): Promise<T | undefined> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof AppError && error.code === 'NOT_FOUND') return undefined;
    throw error;
  }
}
