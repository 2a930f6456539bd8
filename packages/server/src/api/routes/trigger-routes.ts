import { readBounded } from '@selvedge/runtime';
import type { Handlers } from '../implement.ts';
import type { ApiServices } from '../services.ts';

/** What a caller sends with a webhook is signed and then left unread; there is no reason for much of it. */
const MAX_WEBHOOK_BYTES = 262_144;

/** Triggers: list, fire, secrets, and the webhooks themselves. */
export function triggerRoutes({ triggers }: ApiServices) {
  return {
    listTriggers: async ({ query }) => ({ items: await triggers.list(query.pipeline) }),
    fireTrigger: async ({ params, principal }) => triggers.fire(params.name, params.trigger, principal?.name ?? 'unknown'),
    makeTriggerSecret: async ({ params, reply }) => {
      reply.header('cache-control', 'no-store');
      const secret = await triggers.makeSecret(params.name, params.trigger);
      return { secret, webhookPath: `/webhooks/${params.name}/${params.trigger}` };
    },
    callWebhook: async ({ params, request }) => {
      const header = (name: string) => {
        const value = request.headers[name];
        return typeof value === 'string' ? value : undefined;
      };
      const body = await readBounded(request.raw, MAX_WEBHOOK_BYTES, `A webhook's body may have ${MAX_WEBHOOK_BYTES} bytes.`);
      const signed = { signature: header('x-selvedge-signature'), timestamp: header('x-selvedge-timestamp'), body };
      await triggers.deliver(params.name, params.trigger, signed);
      return { accepted: true as const };
    },
  } satisfies Partial<Handlers>;
}
