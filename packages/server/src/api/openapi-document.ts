import swagger from '@fastify/swagger';
import { ROUTES, type Route } from '@selvedge/contract';
import fastify from 'fastify';
import { jsonSchemaTransform, jsonSchemaTransformObject } from 'fastify-type-provider-zod';
import packageJson from '../../package.json' with { type: 'json' };
import { validatorCompiler } from './errors.ts';
import { routeOptions } from './implement.ts';
import { PIPELINE_ROUTES } from './pipeline-container.ts';

const TAGS: Record<string, string> = {
  server: 'The server itself: health, sign-in, events.',
  modules: 'The tools and how they are.',
  resources: 'Resources of every kind.',
  devices: 'What only devices have.',
  operations: 'What is asked of devices: files, commands, restarts.',
  datasets: 'Data in.',
  runs: 'Executions of pipelines.',
  mlflow: 'What MLflow clients log here.',
  triggers: 'What starts runs: schedules, new data, webhooks, metrics, by hand.',
  models: 'The registry, and inference on devices.',
  packages: 'Native packages: build, download, measure.',
  bundles: 'What devices get, and bring back, on a stick.',
  rollouts: 'Changes of what devices serve: in waves, with gates; recalls.',
  blobs: 'Content by digest.',
  pipelines: 'Pipelines as containers of the uniform artifact API.',
};

/** The OpenAPI 3.1 description of the REST API, made from the route table alone: no server is needed. */
export async function openApiDocument(): Promise<Record<string, unknown>> {
  const app = fastify({ logger: false });
  app.setValidatorCompiler(validatorCompiler);
  app.setSerializerCompiler(() => JSON.stringify);
  await app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'Selvedge',
        description: 'From a dataset to a fleet of edge devices that serve the model.',
        version: packageJson.version,
      },
      tags: Object.entries(TAGS).map(([name, description]) => ({ name, description })),
      components: {
        securitySchemes: {
          token: { type: 'http', scheme: 'bearer' },
          session: { type: 'apiKey', in: 'cookie', name: 'selvedge_session' },
        },
      },
      security: [{ token: [] }, { session: [] }],
    },
    transform: jsonSchemaTransform,
    transformObject: jsonSchemaTransformObject,
  });
  const routes: [string, Route][] = [...Object.entries(ROUTES), ...Object.entries(PIPELINE_ROUTES)];
  for (const [key, route] of routes) {
    const options = routeOptions(key, route);
    const consumes = route.upload === undefined ? {} : { consumes: [route.upload] };
    app.route({ ...options, exposeHeadRoute: false, schema: { ...options.schema, ...consumes }, handler: async () => undefined });
  }
  await app.ready();
  const document = structuredClone(app.swagger());
  await app.close();
  return { ...document, paths: withStreamBodies(document.paths ?? {}, routes) };
}

/** A streamed request body has no schema to derive it from. */
function withStreamBodies(paths: object, routes: readonly [string, Route][]): object {
  const uploads = new Map(routes.flatMap(([key, { upload }]) => (upload === undefined ? [] : [[key, upload] as const])));
  return Object.fromEntries(
    Object.entries(paths).map(([path, item]) => [
      path,
      Object.fromEntries(
        Object.entries(item ?? {}).map(([method, operation]) => {
          const upload = uploads.get(operationIdOf(operation));
          if (upload === undefined) return [method, operation];
          const requestBody = { required: true, content: { [upload]: { schema: { type: 'string', format: 'binary' } } } };
          return [method, { ...Object(operation), requestBody }];
        }),
      ),
    ]),
  );
}

function operationIdOf(operation: unknown): string {
  return typeof operation === 'object' && operation !== null && 'operationId' in operation ? String(operation.operationId) : '';
}
