import { randomBytes } from 'node:crypto';
import { type ArtifactStatus, artifactStatusSchema, type ToolDescription, type ToolExample } from '@selvedge/contract';
import { sleep } from '../backoff.ts';
import { expectThat } from '../mismatch.ts';
import type { Answer, Connection } from './connection.ts';
import { expectJson, NotApplicable } from './expectation.ts';

/** How long an example's artifact may take until it is finished. */
const FINISH_LIMIT_MS = 10 * 60_000;
const POLL_MS = 25;

export interface RequestOfInputs {
  readonly name: string;
  readonly parameters: unknown;
  readonly inputs?: Readonly<Record<string, { readonly url: string }>>;
}

const isFinished = ({ status }: ArtifactStatus): boolean => !['queued', 'in-progress'].includes(status);

/** What the checks share: the tool, what it says of itself, what was made, and what has to be removed at the end. */
export class Verification {
  readonly tool: Connection;
  description: ToolDescription | undefined;
  example: ToolExample | undefined;
  /** The completed artifact that was made by an upload. */
  made: string | undefined;
  readonly #prefix = `verify-${randomBytes(4).toString('hex')}`;
  readonly #names: string[] = [];
  readonly #signal: AbortSignal | undefined;

  constructor(tool: Connection, options: { example?: ToolExample | undefined; signal?: AbortSignal | undefined }) {
    this.tool = tool;
    this.example = options.example;
    this.#signal = options.signal;
  }

  /** A new artifact's name; whatever has it is deleted at the end. */
  name(what: string): string {
    const name = `${this.#prefix}-${what}`;
    this.#names.push(name);
    return name;
  }

  get usedNames(): readonly string[] {
    return this.#names;
  }

  needDescription(): ToolDescription {
    if (this.description === undefined) throw new NotApplicable('the tool has not described itself');
    return this.description;
  }

  needExample(): ToolExample {
    if (this.example === undefined) throw new NotApplicable('there is no example to make an artifact of');
    return this.example;
  }

  needMade(): string {
    if (this.made === undefined) throw new NotApplicable('no artifact could be made');
    return this.made;
  }

  /** Posts a request with the example's inputs as files (`multipart/form-data`). */
  upload(name: string, parameters: unknown = this.needExample().parameters): Promise<Answer> {
    const boundary = `----${randomBytes(12).toString('hex')}`;
    const parts: Buffer[] = [];
    const part = (head: string, body: Buffer) => parts.push(Buffer.from(`--${boundary}\r\n${head}\r\n\r\n`), body, Buffer.from('\r\n'));
    part('content-disposition: form-data; name="request"', Buffer.from(JSON.stringify({ name, parameters })));
    for (const [input, source] of Object.entries(this.needExample().inputs))
      part(
        `content-disposition: form-data; name="${input}"; filename="${source.file}"\r\ncontent-type: application/octet-stream`,
        exampleBytes(source),
      );
    parts.push(Buffer.from(`--${boundary}--\r\n`));
    const headers = { 'content-type': `multipart/form-data; boundary=${boundary}` };
    return this.tool.ask('/artifacts', { method: 'POST', headers, body: Buffer.concat(parts) });
  }

  post(request: RequestOfInputs): Promise<Answer> {
    return this.tool.json('/artifacts', 'POST', request);
  }

  /** URLs of the files that an artifact was made from, by input: what another artifact can be made from. */
  inputUrls(artifact: string): Record<string, { url: string }> {
    return Object.fromEntries(
      Object.entries(this.needExample().inputs).map(([input, { file }]) => [
        input,
        { url: `${this.tool.url}/artifacts/${artifact}/input-files/${input}/${file}` },
      ]),
    );
  }

  async status(name: string): Promise<ArtifactStatus> {
    return expectJson(await this.tool.ask(`/artifacts/${name}/status`), artifactStatusSchema, 'a status');
  }

  /** Looks until the artifact is finished; returns every state that was seen, the last one at the end. */
  async finished(name: string): Promise<{ status: ArtifactStatus; seen: string[] }> {
    const seen: string[] = [];
    const end = performance.now() + FINISH_LIMIT_MS;
    for (;;) {
      const status = await this.status(name);
      if (seen.at(-1) !== status.status) seen.push(status.status);
      if (isFinished(status)) return { status, seen };
      expectThat(performance.now() < end, `an end within ${FINISH_LIMIT_MS / 60_000} minutes`, `still ${status.status}: ${status.message}`);
      await sleep(POLL_MS, this.#signal);
    }
  }
}

export function exampleBytes(source: ToolExample['inputs'][string]): Buffer {
  return 'text' in source ? Buffer.from(source.text) : Buffer.from(source.base64, 'base64');
}
