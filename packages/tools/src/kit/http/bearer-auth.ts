import { createHash, timingSafeEqual } from 'node:crypto';
import { AppError } from '@selvedge/contract';

/** Checks `Authorization: Bearer <token>` in constant time (digests are compared, so the length does not show either). */
export function bearerCheck(token: string): (authorization: string | undefined) => void {
  const expected = digest(token);
  return (authorization) => {
    const given = /^Bearer +(\S+)$/i.exec(authorization ?? '')?.[1];
    if (given === undefined || !timingSafeEqual(digest(given), expected)) {
      throw new AppError('UNAUTHENTICATED', {
        message: 'The request carries no valid bearer token.',
        hint: 'Tools are reached through the gateway of the server, which adds the token.',
      });
    }
  };
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}
