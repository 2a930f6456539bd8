import { Readable } from 'node:stream';
import { AppError } from '@selvedge/contract';
import type { Handlers } from '../implement.ts';
import type { ApiServices } from '../services.ts';

const CONTENT_TYPE = 'application/x-ndjson; charset=utf-8';

/** What goes on on devices: output of commands, what is typed into shells, and logs. */
export function remoteRoutes({ devices }: ApiServices) {
  return {
    getOperationOutput: async ({ params, query, reply, signal }) => {
      const events = await devices.output.read(params.name, { device: query.device, follow: query.follow === '1', signal });
      return reply.type(CONTENT_TYPE).send(Readable.from(asLines(events, signal)));
    },
    writeOperationInput: async ({ params, body, signal }) => {
      await devices.writeInput(params.name, body, signal);
      return undefined;
    },
    getDeviceLogs: async ({ params, query, reply, signal }) => {
      const events = await devices.logs.open(params.name, { ...query, follow: query.follow === '1', signal });
      return reply.type(CONTENT_TYPE).send(Readable.from(asLines(events, signal)));
    },
  } satisfies Partial<Handlers>;
}

/** An error in the middle ends the connection, so that the client sees that it has not got all; one that has left is no error. */
async function* asLines(events: AsyncIterable<unknown>, signal: AbortSignal): AsyncGenerator<string> {
  try {
    for await (const event of events) yield `${JSON.stringify(event)}\n`;
  } catch (error) {
    if (!signal.aborted && !(error instanceof AppError && error.code === 'INTERRUPTED')) throw error;
  }
}
