import * as z from 'zod';
import { sha256Schema, timestampSchema } from '../common.ts';
import { AppError } from '../errors.ts';

/** What a join token holds: the secret, and the fingerprint by which the agent knows the server at first contact. */
export const joinTokenSchema = z.object({ secret: z.string().min(16).max(256), caSha256: sha256Schema, expiresAt: timestampSchema });
export type JoinToken = z.infer<typeof joinTokenSchema>;

const PREFIX = 'sv1';

/** `sv1.<secret>.<sha256 of the CA certificate's DER>.<expiry in Unix seconds>`; URL-safe, one shell word. */
export function formatJoinToken(token: JoinToken): string {
  return [PREFIX, token.secret, token.caSha256, Math.floor(Date.parse(token.expiresAt) / 1000)].join('.');
}

/** @throws AppError JOIN_TOKEN_INVALID (user) when the text is not a token. */
export function parseJoinToken(text: string): JoinToken {
  const [prefix, secret, caSha256, seconds, ...rest] = text.trim().split('.');
  const unix = Number(seconds);
  const date = new Date(unix * 1000);
  const expiresAt = Number.isInteger(unix) && !Number.isNaN(date.getTime()) ? date.toISOString() : '';
  const parsed = joinTokenSchema.safeParse({ secret, caSha256, expiresAt });
  if (prefix !== PREFIX || rest.length > 0 || !parsed.success) {
    throw new AppError('JOIN_TOKEN_INVALID', {
      message: 'This is not a join token.',
      hint: 'Make one with "selvedge device token" and copy it whole.',
    });
  }
  return parsed.data;
}
