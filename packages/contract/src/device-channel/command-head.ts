import * as z from 'zod';
import { timestampSchema } from '../common.ts';

/** Commands are answered by one reply with the same id; an agent that does not know a type answers with an error. */
export const commandHead = {
  v: z.literal(1),
  id: z.string().min(1).max(64),
  /** The device drops a command that arrives later than this. */
  expiresAt: timestampSchema,
};
