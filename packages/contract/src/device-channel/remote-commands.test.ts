import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { commandSchema, replySchema } from './messages.ts';

const FOLDER = new URL('./fixtures/v1/remote/', import.meta.url);
// As the first version that knew them wrote them; never edited.
const RECORDED = readdirSync(FOLDER).map((name): [string, unknown] => [name, JSON.parse(readFileSync(new URL(name, FOLDER), 'utf8'))]);

describe('remote commands on the device channel', () => {
  it.each(RECORDED)('reads the recorded %s and writes it back unchanged', (name, message) => {
    const schema = name.startsWith('reply') ? replySchema : commandSchema;
    expect(schema.parse(message)).toEqual(message);
  });

  it('refuses a program without a name and a stream without an id', () => {
    const head = { v: 1, id: 'a', expiresAt: '2026-05-01T10:00:30.000Z' };
    expect(commandSchema.safeParse({ ...head, type: 'exec', stream: 's', argv: [], timeoutS: 1 }).success).toBe(false);
    expect(commandSchema.safeParse({ ...head, type: 'end-program', stream: '' }).success).toBe(false);
  });
});
