import type { FastifyInstance } from 'fastify';
import { collectDefaultMetrics, Gauge, Histogram, type OpenMetricsContentType, Registry } from 'prom-client';
import type { EventStream } from './event-stream.ts';
import type { ApiServices } from './services.ts';

export type ServerRegistry = Registry<OpenMetricsContentType>;

/** Metrics of the server in OpenMetrics text; values of the domain are read when asked for. */
export function createServerMetrics(services: ApiServices, events: EventStream): ServerRegistry {
  const registry: ServerRegistry = new Registry<OpenMetricsContentType>();
  registry.setContentType(Registry.OPENMETRICS_CONTENT_TYPE);
  collectDefaultMetrics({ register: registry });
  const gauge = (name: string, help: string, labelNames: string[], collect: (self: Gauge) => void | Promise<void>) =>
    new Gauge({
      name,
      help,
      labelNames,
      registers: [registry],
      async collect() {
        await collect(this);
      },
    });
  gauge('selvedge_devices', 'Devices by presence.', ['presence'], (self) => {
    const { total, online } = services.devices.counts();
    self.set({ presence: 'online' }, online);
    self.set({ presence: 'offline' }, total - online);
  });
  gauge('selvedge_module_up', 'Whether a tool answers.', ['module'], (self) => {
    for (const module of services.modules.list()) self.set({ module: module.name }, module.state === 'healthy' ? 1 : 0);
  });
  gauge('selvedge_module_restarts', 'How often a tool was started again.', ['module'], (self) => {
    for (const module of services.modules.list()) self.set({ module: module.name }, module.restarts);
  });
  gauge('selvedge_runs', 'Runs by phase.', ['phase'], async (self) => {
    const phases = new Map<string, number>();
    for (let after: string | null | undefined; after !== null; ) {
      const page = await services.store.list('Run', after === undefined ? {} : { after });
      for (const run of page.items) phases.set(run.status.phase, (phases.get(run.status.phase) ?? 0) + 1);
      after = page.next;
    }
    self.reset();
    for (const [phase, count] of phases) self.set({ phase }, count);
  });
  gauge('selvedge_event_clients', 'Open event streams.', [], (self) => self.set(events.size));
  return registry;
}

/** Measures every request by route, method and status. */
export function measureRequests(app: FastifyInstance, registry: ServerRegistry): void {
  const duration = new Histogram({
    name: 'selvedge_http_request_duration_seconds',
    help: 'Time from the request to the end of the response.',
    labelNames: ['method', 'route', 'status'],
    buckets: [0.001, 0.005, 0.02, 0.1, 0.5, 2, 10],
    registers: [registry],
  });
  app.addHook('onResponse', async (request, reply) => {
    const route = request.routeOptions.url ?? 'unknown';
    duration.observe({ method: request.method, route, status: String(reply.statusCode) }, reply.elapsedTime / 1000);
  });
}
