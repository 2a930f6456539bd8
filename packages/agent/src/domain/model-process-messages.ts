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
  /** Comes with a connection that is silent between two requests, for the version that is served now. */
  z.object({ type: z.literal('connection') }),
  /** All requests are answered and all connections given back or closed. */
  z.object({ type: z.literal('drained') }),
]);
export type FromModelServer = z.infer<typeof fromModelServerSchema>;

/** What the agent tells a model server. */
export const toModelServerSchema = z.discriminatedUnion('type', [
  /** Comes with a socket. `kept`: its client has had answers from another version, and may be silent for long. */
  z.object({ type: z.literal('connection'), kept: z.boolean().optional() }),
  z.object({ type: z.literal('ping') }),
  /** `giveBack`: connections are given back between two requests; otherwise they are closed. */
  z.object({ type: z.literal('drain'), giveBack: z.boolean().optional() }),
  /** Ends a drain: it gets traffic again. */
  z.object({ type: z.literal('resume') }),
]);
export type ToModelServer = z.infer<typeof toModelServerSchema>;
