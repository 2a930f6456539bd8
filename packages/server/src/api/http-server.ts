import cookie from '@fastify/cookie';
import helmet from '@fastify/helmet';
import rateLimit from '@fastify/rate-limit';
import { AppError } from '@selvedge/contract';
import { listenOrExplain } from '@selvedge/runtime';
import fastify, { type FastifyInstance } from 'fastify';
import { serializerCompiler } from 'fastify-type-provider-zod';
import { guardAccess, isLoopbackHost } from './access.ts';
import { handleErrors, sendProblem, validatorCompiler } from './errors.ts';
import { EventStream } from './event-stream.ts';
import { addGateway } from './gateway.ts';
import { type Handlers, implementAll } from './implement.ts';
import { addMlflow } from './mlflow/mlflow-api.ts';
import { addPipelineContainer, pipelineHandlers } from './pipeline-container.ts';
import { bundleRoutes } from './routes/bundle-routes.ts';
import { dataRoutes } from './routes/data-routes.ts';
import { datasetRoutes } from './routes/dataset-routes.ts';
import { joiningRoutes } from './routes/joining-routes.ts';
import { mlflowRoutes } from './routes/mlflow-routes.ts';
import { operationRoutes } from './routes/operation-routes.ts';
import { packageRoutes } from './routes/package-routes.ts';
import { registryRoutes } from './routes/registry-routes.ts';
import { remoteRoutes } from './routes/remote-routes.ts';
import { resourceRoutes } from './routes/resource-routes.ts';
import { rolloutRoutes } from './routes/rollout-routes.ts';
import { runRoutes } from './routes/run-routes.ts';
import { serverRoutes } from './routes/server-routes.ts';
import { triggerRoutes } from './routes/trigger-routes.ts';
import { createServerMetrics, measureRequests } from './server-metrics.ts';
import type { ApiServices } from './services.ts';
import { addWebUi } from './web-ui.ts';

/** A thousand documents of the usual size; larger bodies are streams and have limits of their own. */
const MAX_JSON_BYTES = 16 * 1024 * 1024;
/** Names are up to 253 characters. */
const MAX_PARAMETER_LENGTH = 300;
const SIGN_INS_PER_MINUTE = 20;

export interface HttpServerOptions {
  host: string;
  port: number;
  webDir: string | null;
}

/** The user port: REST API, event stream, gateway to the tools, web UI. */
export class HttpServer {
  readonly #services: ApiServices;
  readonly #options: HttpServerOptions;
  readonly #events: EventStream;
  #app: FastifyInstance | undefined;

  constructor(services: ApiServices, options: HttpServerOptions) {
    this.#services = services;
    this.#options = options;
    this.#events = new EventStream(services.hub);
  }

  /** @throws AppError PORT_IN_USE (user). */
  async start(): Promise<{ port: number }> {
    const { host, port } = this.#options;
    const app = await this.#build();
    this.#app = app;
    this.#events.start();
    await listenOrExplain(() => app.listen({ host, port }), { host, port, flag: '--port' });
    const address = app.server.address();
    return { port: typeof address === 'object' && address !== null ? address.port : port };
  }

  /** Ends event streams and open requests. */
  async stop(): Promise<void> {
    this.#events.stop();
    await this.#app?.close();
  }

  async #build(): Promise<FastifyInstance> {
    const services = this.#services;
    const app = fastify({
      logger: false,
      bodyLimit: MAX_JSON_BYTES,
      forceCloseConnections: true,
      routerOptions: { maxParamLength: MAX_PARAMETER_LENGTH },
      // What the URL parser refuses never reaches the error handler of a route.
      frameworkErrors: (error, _request, reply) => {
        sendProblem(reply, new AppError('INPUT_INVALID', { message: error.message }, { cause: error }));
      },
    });
    app.setValidatorCompiler(validatorCompiler);
    app.setSerializerCompiler(serializerCompiler);
    handleErrors(app, services.log);
    await addSecurity(app, services, isLoopbackHost(this.#options.host.includes(':') ? `[${this.#options.host}]` : this.#options.host));
    const registry = createServerMetrics(services, this.#events);
    measureRequests(app, registry);
    const handlers: Handlers = {
      ...serverRoutes(services, this.#events, registry),
      ...resourceRoutes(services),
      ...joiningRoutes(services),
      ...dataRoutes(services),
      ...datasetRoutes(services),
      ...runRoutes(services),
      ...packageRoutes(services),
      ...operationRoutes(services),
      ...bundleRoutes(services),
      ...remoteRoutes(services),
      ...triggerRoutes(services),
      ...mlflowRoutes(services),
      ...registryRoutes(services),
      ...rolloutRoutes(services),
    };
    await implementAll(app, handlers);
    addPipelineContainer(app, pipelineHandlers(services));
    await addMlflow(app, services);
    addOpenApi(app);
    await addGateway(app, services);
    await addWebUi(app, this.#options.webDir);
    return app;
  }
}

async function addSecurity(app: FastifyInstance, services: ApiServices, loopbackOnly: boolean): Promise<void> {
  await app.register(cookie);
  await app.register(helmet, {
    contentSecurityPolicy: {
      useDefaults: false,
      directives: {
        defaultSrc: ["'self'"],
        imgSrc: ["'self'", 'data:', 'blob:'],
        objectSrc: ["'none'"],
        baseUri: ["'none'"],
        formAction: ["'self'"],
        frameAncestors: ["'none'"],
      },
    },
    // The user port speaks plain HTTP; a promise of HTTPS would lock a browser out of it.
    strictTransportSecurity: false,
    referrerPolicy: { policy: 'no-referrer' },
  });
  guardAccess(app, { auth: services.auth, loopbackOnly });
  // Before the plugin, which reads the routes' configuration when they are added.
  app.addHook('onRoute', (route) => {
    if (route.url === '/api/v1/session' && route.method === 'POST') {
      route.config = { ...route.config, rateLimit: { max: SIGN_INS_PER_MINUTE, timeWindow: 60_000 } };
    }
  });
  await app.register(rateLimit, {
    global: false,
    errorResponseBuilder: () =>
      new AppError('RATE_LIMITED', { message: 'Too many sign-in attempts.', hint: 'Wait a minute, then try again.' }),
  });
}

/** Made when it is first asked for: the generator is large and seldom needed. */
function addOpenApi(app: FastifyInstance): void {
  let document: Promise<unknown> | undefined;
  app.get('/api/v1/openapi.json', { config: { scope: 'public' } }, async (_request, reply) => {
    document ??= import('./openapi-document.ts').then((module) => module.openApiDocument());
    return reply.type('application/json').send(JSON.stringify(await document));
  });
}
