import { AppError } from '@selvedge/contract';

export interface ServerSentEvent {
  readonly event: string;
  readonly data: string;
}

/** One event larger than this ends the stream: nothing the server sends comes near it. */
const MAX_EVENT_CHARACTERS = 16 * 1024 * 1024;

/** Lines of a text that arrives in pieces; LF, CR and CRLF end a line, as the event-stream format says. */
async function* linesOf(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let rest = '';
  let skipsLineFeed = false;
  for await (const chunk of chunks) {
    let text = decoder.decode(chunk, { stream: true });
    if (skipsLineFeed && text.startsWith('\n')) text = text.slice(1);
    if (text === '') continue;
    skipsLineFeed = text.endsWith('\r');
    const lines = (rest + text).split(/\r\n|\r|\n/);
    rest = lines.pop() ?? '';
    if (rest.length > MAX_EVENT_CHARACTERS)
      throw new AppError('PAYLOAD_TOO_LARGE', { message: 'The server sent an event that is too large.' });
    yield* lines;
  }
}

/** Parses an event stream (WHATWG HTML, "server-sent events"); an event that the end cuts off is dropped. */
export async function* parseServerSentEvents(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<ServerSentEvent> {
  let event = '';
  let data: string[] = [];
  for await (const line of linesOf(chunks)) {
    if (line === '') {
      if (data.length > 0) yield { event: event === '' ? 'message' : event, data: data.join('\n') };
      event = '';
      data = [];
      continue;
    }
    const colon = line.indexOf(':');
    const field = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? '' : line.slice(colon + 1).replace(/^ /, '');
    if (field === 'event') event = value;
    else if (field === 'data') data.push(value);
  }
}
