import fc from 'fast-check';
import { expect, test } from 'vitest';
import { parseServerSentEvents, type ServerSentEvent } from './server-sent-events.ts';

async function parse(chunks: readonly Uint8Array[]): Promise<ServerSentEvent[]> {
  const events: ServerSentEvent[] = [];
  async function* source() {
    yield* chunks;
  }
  for await (const event of parseServerSentEvents(source())) events.push(event);
  return events;
}

test('comments, ids and an event that is cut off are left out', async () => {
  const text = ': hello\nid: 1\nevent: resource\ndata: {"a":1}\ndata:more\n\ndata\n\nevent: x\n\ndata: cut';
  expect(await parse([Buffer.from(text)])).toEqual([
    { event: 'resource', data: '{"a":1}\nmore' },
    { event: 'message', data: '' },
  ]);
});

const line = fc.string({ unit: 'grapheme', maxLength: 40 }).map((text) => text.replace(/[\r\n]/g, '_'));
const event = fc.record({ event: fc.stringMatching(/^[a-z]{1,8}$/), data: fc.array(line, { minLength: 1, maxLength: 3 }) });

test('events come out the same however the bytes are cut and lines are ended', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(event, { maxLength: 6 }),
      fc.constantFrom('\n', '\r\n', '\r'),
      fc.array(fc.nat(400), { maxLength: 12 }),
      async (events, end, cuts) => {
        const text = events.map((one) => [`event: ${one.event}`, ...one.data.map((data) => `data: ${data}`), '', ''].join(end)).join('');
        const bytes = Buffer.from(text);
        const places = [0, ...cuts.filter((cut) => cut < bytes.length).sort((a, b) => a - b), bytes.length];
        const chunks = places.slice(1).map((to, index) => bytes.subarray(places[index], to));
        expect(await parse(chunks)).toEqual(events.map((one) => ({ event: one.event, data: one.data.join('\n') })));
      },
    ),
  );
});
