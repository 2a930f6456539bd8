import { join } from 'node:path';
import { AppError, type ToolDescription, type ToolExample } from '@selvedge/contract';
import { describeError, findControlGroupParent, type Logger, listenOrExplain, lockFolder } from '@selvedge/runtime';
import * as z from 'zod';
import type { Artifact } from './artifact.ts';
import { ArtifactRunner } from './artifact-runner.ts';
import { ArtifactStore } from './artifact-store.ts';
import { describeInput, type Tool } from './define-tool.ts';
import { DEFAULT_FETCH_POLICY, type FetchPolicy } from './fetch-input.ts';
import { buildToolApi } from './http/tool-api.ts';
import { makeArtifact } from './make-artifact.ts';

/** How long a predecessor that is about to end may keep the data folder. */
const HANDOVER_MS = 10_000;

export interface ServeToolOptions {
  /** Folder of this tool alone; made when it is not there. */
  readonly dataDir: string;
  /** Default 127.0.0.1. */
  readonly host?: string;
  /** 0 (the default) takes any free port. */
  readonly port?: number;
  /** Bearer token that every request must carry, and that is sent to the trusted origins; at least 16 characters. */
  readonly token: string;
  /** Origins (`http://127.0.0.1:7070`) whose inputs are fetched with the token. */
  readonly trustedOrigins?: readonly string[];
  readonly version: string;
  readonly codeDigest: string;
  readonly logger: Logger;
  /** Program and arguments of the process of a job; see MakeOptions. */
  readonly jobCommand?: readonly string[];
  /** Per uploaded file; default 64 GiB. */
  readonly maxUploadBytes?: number;
  readonly fetch?: Partial<Pick<FetchPolicy, 'attempts' | 'backoff' | 'idleTimeoutMs' | 'maxBytes'>>;
  /** Ends the wait for the data folder. */
  readonly signal?: AbortSignal;
}

export interface ServedTool {
  readonly port: number;
  /** `http://127.0.0.1:<port>` */
  readonly url: string;
  /** Interrupts the work under way (it is queued again), closes the port and gives the data folder free. */
  stop(): Promise<void>;
}

/**
 * Serves a tool: the uniform artifact API over HTTP, with the queue on disk.
 *
 * @throws AppError PORT_IN_USE, DATA_FOLDER_LOCKED, INPUT_INVALID (user).
 */
export async function serveTool(tool: Tool, options: ServeToolOptions): Promise<ServedTool> {
  if (options.token.length < 16) throw new AppError('INPUT_INVALID', { message: 'The tool token must have at least 16 characters.' });
  const { logger, host = '127.0.0.1', port = 0 } = options;
  const unlock = await lockDataFolder(options);
  try {
    const store = new ArtifactStore(options.dataDir, logger);
    await store.load();
    const trustedOrigins = new Set(options.trustedOrigins?.map((origin) => new URL(origin).origin));
    const fetchPolicy: FetchPolicy = { ...DEFAULT_FETCH_POLICY, ...options.fetch, token: options.token, trustedOrigins };
    const cacheDir = join(options.dataDir, 'cache');
    const controlGroupParent = tool.job === undefined || options.jobCommand === undefined ? undefined : await findControlGroupParent();
    const make = (artifact: Artifact, signal: AbortSignal) =>
      makeArtifact(tool, artifact, { fetchPolicy, cacheDir, jobCommand: options.jobCommand, controlGroupParent, logger, signal });
    const runner = new ArtifactRunner({ store, make });
    const app = await buildToolApi({
      tool,
      describe: describer(tool, options),
      store,
      runner,
      token: options.token,
      maxUploadBytes: options.maxUploadBytes ?? 64 * 1024 ** 3,
      logger,
    });
    await listenOrExplain(() => app.listen({ host, port }), { host, port, flag: '--port' });
    const address = app.addresses()[0];
    const listening = typeof address === 'object' ? address.port : port;
    const url = `http://${host.includes(':') ? `[${host}]` : host}:${listening}`;
    // An artifact may be made from another one of the same tool: whoever listens there is this process.
    trustedOrigins.add(new URL(url).origin);
    runner.start();
    const background = startBackground(tool, cacheDir, options);
    const stop = async () => {
      // The queue first: readers of a log see the artifact's end before their connection closes.
      await runner.stop();
      await background.stop();
      await app.close();
      await unlock();
    };
    return { port: listening, url, stop };
  } catch (error) {
    await unlock();
    throw error;
  }
}

/** Two queues over the same artifacts would undo each other's work. */
function lockDataFolder({ dataDir, signal }: ServeToolOptions): Promise<() => Promise<void>> {
  const path = join(dataDir, 'lock');
  return lockFolder(path, {
    waitMs: HANDOVER_MS,
    ...(signal === undefined ? {} : { signal }),
    refusal: () => ({ message: `Another process works in ${dataDir}.`, hint: `Stop it, or choose another folder. Its pid is in ${path}.` }),
  });
}

function startBackground(tool: Tool, cacheDir: string, options: ServeToolOptions): { stop(): Promise<void> } {
  const ending = new AbortController();
  const { token, logger, trustedOrigins: origins = [] } = options;
  const work = tool
    .background?.({ cacheDir, origins, token, logger, signal: ending.signal })
    .catch((error: unknown) => logger.error('the work beside the queue ended', describeError(error)));
  return {
    stop: async () => {
      ending.abort();
      await work;
    },
  };
}

function describer(tool: Tool, { version, codeDigest }: ServeToolOptions): () => Promise<ToolDescription> {
  let example: Promise<ToolExample> | undefined;
  const description = {
    name: tool.name,
    description: tool.description,
    version,
    codeDigest,
    makes: tool.makes,
    class: tool.class,
    parameters: z.toJSONSchema(tool.parameters, { io: 'input' }),
    inputs: Object.fromEntries(Object.entries(tool.inputs).map(([name, input]) => [name, describeInput(input)])),
  };
  return async () => {
    if (tool.example === undefined) return description;
    example ??= tool.example();
    return { ...description, example: await example };
  };
}
