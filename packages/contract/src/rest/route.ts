import type * as z from 'zod';

/** Who may call: `public` nobody's credential, `user` a bearer token or a session, `tool` also the tools' token. */
export type Scope = 'public' | 'user' | 'tool';

export interface Route {
  readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE';
  /** Parameters as `{name}`. */
  readonly path: string;
  readonly summary: string;
  readonly tag: string;
  readonly scope: Scope;
  readonly params?: z.ZodObject;
  readonly query?: z.ZodObject;
  /** JSON body. */
  readonly body?: z.ZodType;
  /** A body that is not JSON, streamed: its media type. */
  readonly upload?: string;
  /** JSON response. */
  readonly response?: z.ZodType;
  /** A response that is not JSON, streamed: its media type. */
  readonly download?: string;
  readonly status?: 200 | 201 | 202 | 204;
}

export const route = <const R extends Route>(value: R): R => value;
