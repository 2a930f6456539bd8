import { type ArtifactSummary, artifactSummarySchema, healthSchema, type MetricPoint, metricPointSchema } from '@selvedge/contract';
import { timeoutSignal } from '@selvedge/runtime';
import * as z from 'zod';

const TIMEOUT_MS = 30_000;
const artifactListSchema = z.object({ items: z.array(artifactSummarySchema) });
const metricListSchema = z.object({ items: z.array(z.string()) });

/** Reads the other tools through the server's gateway, with the token that all tools share. */
export class GatewayClient {
  readonly #origin: string;
  readonly #token: string;
  readonly #signal: AbortSignal;

  constructor(options: { origin: string; token: string; signal: AbortSignal }) {
    this.#origin = options.origin;
    this.#token = options.token;
    this.#signal = options.signal;
  }

  /** Names of the tools that answer now. */
  async listTools(): Promise<string[]> {
    const { modules } = healthSchema.parse(await (await this.#get('/health')).json());
    return modules.filter(({ state }) => state === 'healthy').map(({ name }) => name);
  }

  async listArtifacts(tool: string): Promise<ArtifactSummary[]> {
    return artifactListSchema.parse(await (await this.#get(`/containers/${tool}/artifacts`)).json()).items;
  }

  async listMetrics(tool: string, artifact: string): Promise<string[]> {
    return metricListSchema.parse(await (await this.#get(artifactPath(tool, artifact, 'metrics'))).json()).items;
  }

  /** Points after the first `skip` ones. */
  async readPoints(tool: string, artifact: string, metric: string, skip: number): Promise<MetricPoint[]> {
    const path = artifactPath(tool, artifact, `metrics/${encodeURIComponent(metric.replaceAll('/', '.'))}/points?after=${skip}`);
    const lines = (await (await this.#get(path)).text()).split('\n').filter((line) => line !== '');
    return lines.map((line) => metricPointSchema.parse(JSON.parse(line)));
  }

  /** One file of an artifact; undefined when it is not there or larger than `maxBytes`. */
  async readFile(tool: string, artifact: string, file: string, maxBytes: number): Promise<Buffer | undefined> {
    const chunks: Uint8Array[] = [];
    let sizeBytes = 0;
    for await (const chunk of this.streamFile(tool, artifact, file)) {
      sizeBytes += chunk.length;
      if (sizeBytes > maxBytes) return undefined;
      chunks.push(chunk);
    }
    return chunks.length === 0 ? undefined : Buffer.concat(chunks);
  }

  /** One file of an artifact, chunk by chunk; nothing when it is not there. */
  async *streamFile(tool: string, artifact: string, file: string): AsyncGenerator<Uint8Array> {
    const path = artifactPath(tool, artifact, `data/${file.split('/').map(encodeURIComponent).join('/')}`);
    const response = await this.#request(path);
    if (response.status === 404) return;
    if (!response.ok) throw new Error(`${path} answered ${response.status}`);
    if (response.body !== null) yield* response.body;
  }

  async #get(path: string): Promise<Response> {
    const response = await this.#request(path);
    if (!response.ok) throw new Error(`${path} answered ${response.status}`);
    return response;
  }

  #request(path: string): Promise<Response> {
    return fetch(`${this.#origin}${path}`, {
      headers: { authorization: `Bearer ${this.#token}` },
      signal: timeoutSignal(TIMEOUT_MS, this.#signal),
    });
  }
}

function artifactPath(tool: string, artifact: string, rest: string): string {
  return `/containers/${tool}/artifacts/${encodeURIComponent(artifact)}/${rest}`;
}
