import { AppError, type Operation, type OutputEvent, outputEventSchema } from '@selvedge/contract';
import type { Session } from '../session.ts';
import { followLines } from './follow-lines.ts';

type End = Extract<OutputEvent, { type: 'end' }>;

export interface OutputSink {
  write(device: string, source: 'stdout' | 'stderr' | 'pty', bytes: Uint8Array): Promise<void> | void;
  /** A remark about a device. */
  remark(device: string, text: string): void;
  end?(event: End): void;
}

const CANCEL_MS = 20_000;

/**
 * Follows what an operation writes on its devices to the end of it; the signal ends it on the devices.
 *
 * @throws AppError INTERRUPTED after the signal, SERVER_UNREACHABLE.
 */
export async function followOutput(session: Session, operation: Operation, sink: OutputSink, signal: AbortSignal): Promise<void> {
  const { client } = session;
  const { name } = operation.metadata;
  const last = new Map<string, number>();
  const ended = new Set<string>();
  const take = async (event: OutputEvent) => {
    if (event.type === 'output') {
      if (event.sequence <= (last.get(event.device) ?? 0)) return;
      last.set(event.device, event.sequence);
      await sink.write(event.device, event.source, Buffer.from(event.dataBase64, 'base64'));
    } else if (event.type === 'lost') {
      // A stream that was opened again begins with what is still there: what was seen is not lost.
      if (!last.has(event.device)) sink.remark(event.device, `${event.bytes} bytes of output are gone.`);
    } else if (event.type === 'excerpt') {
      if (!last.has(event.device)) await sink.write(event.device, 'stdout', Buffer.from(event.text));
    } else if (!ended.has(event.device)) {
      ended.add(event.device);
      sink.end?.(event);
    }
  };
  try {
    await followLines(session, {
      open: (until) => client.stream('getOperationOutput', { params: { name }, query: { follow: '1' }, signal: until }),
      schema: outputEventSchema,
      take,
      isDone: () => ended.size === operation.status.devices.length,
      signal,
    });
  } catch (error) {
    if (!signal.aborted) throw error;
    await client.cancelOperation({ params: { name }, signal: AbortSignal.timeout(CANCEL_MS) });
    throw new AppError('INTERRUPTED', { message: `Interrupted; the operation ${name} was cancelled on its devices.` });
  }
}
