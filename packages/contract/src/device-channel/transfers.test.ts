import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { commandSchema, replySchema } from './messages.ts';

const FOLDER = new URL('./fixtures/v1/transfers/', import.meta.url);
// As the first version that knew them wrote them; never edited.
const RECORDED = readdirSync(FOLDER).map((name): [string, unknown] => [name, JSON.parse(readFileSync(new URL(name, FOLDER), 'utf8'))]);

describe('transfers on the device channel', () => {
  it.each(RECORDED)('reads the recorded %s and writes it back unchanged', (name, message) => {
    const schema = name.startsWith('reply') ? replySchema : commandSchema;
    expect(schema.parse(message)).toEqual(message);
  });

  it('refuses a path that is not absolute', () => {
    const head = { v: 1, id: 'a', expiresAt: '2026-05-01T10:00:30.000Z', operation: 'op-1' };
    expect(commandSchema.safeParse({ ...head, type: 'pull', path: 'app.log' }).success).toBe(false);
  });
});
