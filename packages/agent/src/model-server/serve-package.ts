import { type AppError, toAppError } from '@selvedge/contract';
import { decodeImage } from '@selvedge/graph/image';
import { openSession } from '@selvedge/graph/session';
import type { Logger } from '@selvedge/runtime';
import { type LoadedPackage, loadPackage } from './load-package.ts';
import { ModelMetrics } from './metrics.ts';
import { ModelHttpServer } from './model-http-server.ts';
import { Predictor } from './predictor.ts';
import { ModelRoutes } from './routes.ts';

/** A picture of one pixel, to have the decoder loaded before the first request comes. */
const ONE_PIXEL_PNG = Buffer.from(
  'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==',
  'base64',
);

export interface ServePackageOptions {
  folder: string;
  /** 0 picks a free one. */
  port: number;
  /** Default 127.0.0.1. */
  host?: string;
  /** ONNX Runtime threads; default 1. */
  threads?: number;
  log: Logger;
}

export interface ServedPackage {
  port: number;
  server: ModelHttpServer;
  /** Resolves when the self-test has passed; rejects with why the package cannot be served. */
  ready: Promise<void>;
}

async function load(pack: LoadedPackage, threads: number, log: Logger): Promise<Predictor> {
  const startedAt = performance.now();
  const session = await openSession(pack.model, { threads });
  const predictor = new Predictor(pack.manifest, session);
  const difference = await predictor.selfTest(pack.golden);
  await decodeImage(ONE_PIXEL_PNG);
  log.info('the model is ready', {
    model: pack.manifest.model,
    version: pack.manifest.version,
    selfTest: pack.golden === null ? 'none' : difference,
    loadMs: Math.round(performance.now() - startedAt),
  });
  return predictor;
}

/**
 * Opens the port at once and loads the model behind it, so that health can be asked all along.
 *
 * @throws AppError FILE_UNREADABLE, INPUT_INVALID, PORT_IN_USE (user); DIGEST_MISMATCH (operational).
 */
export async function servePackage(options: ServePackageOptions): Promise<ServedPackage> {
  const { folder, log } = options;
  const pack = await loadPackage(folder);
  const { model, version } = pack.manifest;
  let predictor: Predictor | undefined;
  const metrics = new ModelMetrics(model, version);
  const routes = new ModelRoutes({ model, version, serverVersion: '0.1.0', metrics, predictor: () => predictor, log });
  const server = new ModelHttpServer((request, response) => routes.handle(request, response));
  const port = await server.listen(options.port, options.host ?? '127.0.0.1');
  const ready = load(pack, options.threads ?? 1, log).then(
    (loaded) => {
      predictor = loaded;
    },
    (error: unknown): never => {
      const known: AppError = toAppError(error);
      throw known;
    },
  );
  return { port, server, ready };
}
