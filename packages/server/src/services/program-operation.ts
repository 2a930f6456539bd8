import { AppError, type OutputPage, type ProgramEnd } from '@selvedge/contract';
import { unexpectedReply } from './device-commands.ts';
import type { DeviceLink } from './device-link.ts';
import type { DeviceOutcome, DeviceWork, OperationHandler } from './operation-handler.ts';
import { OutputExcerpt } from './output-excerpt.ts';
import type { RemoteOutput } from './remote-output.ts';

type ProgramWork = DeviceWork<'exec'> | DeviceWork<'shell'>;

const ANSWER_MS = 15_000;
const READ_WAIT_MS = 20_000;
/** How long a device that is away may be away, besides the time that its command has. */
const AWAY_MS = 120_000;
/** What a cancelled program may take to end. */
const END_MS = 15_000;
const EXPIRES_S = 600;
const MAX_EXCERPTS_CHARACTERS = 4 * 1024 * 1024;
const MAX_EXCERPT_CHARACTERS = 65_536;
const MIN_EXCERPT_CHARACTERS = 256;

/**
 * Runs programs on devices: starts them, reads what they write, and ends them when that is asked.
 *
 * Starting and reading may be repeated (a device starts each program once, and tells its output by number), so a connection that
 * is lost, or a restart of this server, neither runs a program twice nor doubles its output.
 */
export class ProgramOperation {
  readonly #link: DeviceLink;
  readonly #output: RemoteOutput;

  constructor(link: DeviceLink, output: RemoteOutput) {
    this.#link = link;
    this.#output = output;
  }

  exec(): OperationHandler<'exec'> {
    return {
      waitsForDevices: false,
      expiresInS: EXPIRES_S,
      run: async (work) => {
        const { argv, timeoutS } = work.task;
        await this.#begin(work, { type: 'exec', stream: streamOf(work), argv, timeoutS });
        return this.#follow(work, timeoutS * 1000 + AWAY_MS);
      },
    };
  }

  shell(): OperationHandler<'shell'> {
    return {
      waitsForDevices: false,
      expiresInS: EXPIRES_S,
      run: async (work) => {
        const { size = { columns: 80, rows: 24 }, term = 'xterm' } = work.task;
        await this.#begin(work, { type: 'shell', stream: streamOf(work), size, term });
        return this.#follow(work, AWAY_MS);
      },
    };
  }

  /** Repeated until it is answered, as the device may have started it and only its answer be lost. */
  async #begin({ device, signal }: ProgramWork, command: Parameters<DeviceLink['ask']>[1]): Promise<void> {
    await this.#link.ask(device, command, { timeoutMs: ANSWER_MS, patienceMs: ANSWER_MS * 2, signal });
  }

  async #follow(work: ProgramWork, patienceMs: number): Promise<DeviceOutcome> {
    const { operation, device, signal } = work;
    const share = Math.floor(MAX_EXCERPTS_CHARACTERS / operation.status.devices.length);
    const excerpt = new OutputExcerpt(Math.max(MIN_EXCERPT_CHARACTERS, Math.min(MAX_EXCERPT_CHARACTERS, share)));
    const before = operation.status.devices.find((one) => one.device === device)?.output ?? '';
    if (work.resumed && before !== '') excerpt.add(Buffer.from(before));
    const writer = this.#output.open(operation.metadata.name, device);
    try {
      for (let after = 0; ; ) {
        const page = await this.#read(work, after, patienceMs, signal);
        for (const chunk of page.chunks) {
          if (chunk.sequence <= after) continue;
          after = chunk.sequence;
          excerpt.add(Buffer.from(chunk.dataBase64, 'base64'));
          await writer.append(chunk, signal);
        }
        if (page.chunks.length > 0) work.output(excerpt.text());
        if (page.end !== null) return { ...outcomeOf(page.end), output: excerpt.text() };
      }
    } catch (error) {
      const isCancelled = signal.aborted && signal.reason instanceof AppError && signal.reason.code === 'CANCELLED';
      if (isCancelled) await this.#end(work).catch(() => undefined); // it is cancelled here; the device ends it by its own time limit
      throw error;
    } finally {
      writer.close();
    }
  }

  async #read(work: ProgramWork, after: number, patienceMs: number, signal: AbortSignal): Promise<OutputPage> {
    const command = { type: 'read-output', stream: streamOf(work), after, waitMs: READ_WAIT_MS } as const;
    const answer = await this.#link.ask(work.device, command, { timeoutMs: READ_WAIT_MS + ANSWER_MS, patienceMs, signal });
    if (!('output' in answer)) throw unexpectedReply(work.device);
    return answer.output;
  }

  /** Resolves when the device says that it has ended. */
  async #end(work: ProgramWork): Promise<void> {
    const signal = AbortSignal.timeout(END_MS);
    const options = { timeoutMs: ANSWER_MS, patienceMs: END_MS, signal };
    await this.#link.ask(work.device, { type: 'end-program', stream: streamOf(work) }, options);
    for (let after = 0, page: OutputPage | undefined; page === undefined || page.end === null; ) {
      page = await this.#read(work, after, END_MS, signal);
      after = page.chunks.at(-1)?.sequence ?? after;
    }
  }
}

/** Of an operation there is one program per device, for ever. */
export function streamOf({ operation }: Pick<ProgramWork, 'operation'>): string {
  return operation.metadata.uid;
}

function outcomeOf({ exitCode, signal, error }: ProgramEnd): DeviceOutcome {
  if (error !== null) return { exitCode, error };
  if (exitCode === 0) return { exitCode };
  const how = exitCode === null ? `It was ended by ${signal ?? 'a signal'}.` : `It ended with exit code ${exitCode}.`;
  return { exitCode, error: { code: 'OPERATION_FAILED', message: how } };
}
