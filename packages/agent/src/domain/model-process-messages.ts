import * as z from 'zod';

/** What a model server tells the agent over IPC. */
export const fromModelServerSchema = z.discriminatedUnion('type', [
  /** Its private loopback port answers; the model is still being loaded. */
  z.object({ type: z.literal('listening'), port: z.int().min(1).max(65_535) }),
  /** The model is loaded and has passed its self-test. */
  z.object({ type: z.literal('ready') }),
  /** It cannot serve this package; it ends after this. */
  z.object({ type: z.literal('failed'), code: z.string(), message: z.string() }),
  /** Answer to a ping: how long the oldest request has been under way, 0 when there is none. */
  z.object({ type: z.literal('pong'), oldestRequestMs: z.number().min(0) }),
  /** All requests are answered and all connections closed. */
  z.object({ type: z.literal('drained') }),
]);
export type FromModelServer = z.infer<typeof fromModelServerSchema>;

/** What the agent tells a model server; `connection` comes with a socket. */
export const toModelServerSchema = z.discriminatedUnion('type', [
  z.object({ type: z.literal('connection') }),
  z.object({ type: z.literal('ping') }),
  z.object({ type: z.literal('drain') }),
  /** Ends a drain: it gets traffic again. */
  z.object({ type: z.literal('resume') }),
]);
export type ToModelServer = z.infer<typeof toModelServerSchema>;
