import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { type Command, commandSchema, type Operation, type OperationTask, type Reply } from '@selvedge/contract';
import { sha256Hex } from '@selvedge/runtime';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { FsTransferFiles } from '../adapters/fs/fs-transfer-files.ts';
import { newOperationStatus } from '../domain/operation-plan.ts';
import { DeviceCommands } from './device-commands.ts';
import { contentOf } from './operation-retention.ts';
import { TransferService } from './transfer-service.ts';

describe('TransferService', () => {
  let folder: string;
  let service: TransferService;
  let answer: (command: Command) => Promise<Reply['outcome']> | Reply['outcome'];
  const clock = () => new Date();
  const archive = Buffer.from('an archive');
  const reference = { sha256: sha256Hex(archive), sizeBytes: archive.length };

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'transfers-'));
    const files = new FsTransferFiles(folder);
    await files.start();
    const commands: DeviceCommands = new DeviceCommands({
      publish: async (device, _topic, payload) => {
        const command = commandSchema.parse(JSON.parse(payload));
        void Promise.resolve(answer(command)).then((outcome) => commands.takeReply(device, { v: 1, id: command.id, outcome }));
      },
      clock,
    });
    service = new TransferService({ files, commands, maxBytes: 1_000_000, clock });
  });
  afterEach(() => rm(folder, { recursive: true }));

  function operationOf(task: OperationTask): Operation {
    const createdAt = clock().toISOString();
    const metadata = {
      name: 'op-1',
      uid: 'u',
      labels: {},
      annotations: {},
      generation: 1,
      resourceVersion: 1,
      createdAt,
      updatedAt: createdAt,
    };
    const spec = { task, target: 'edge-1', parallel: 1, wait: true, expiresAt: createdAt, by: 'admin' };
    return { apiVersion: 'selvedge.dev/v1alpha1', kind: 'Operation', metadata, spec, status: newOperationStatus(['edge-1']) };
  }

  async function run(task: OperationTask) {
    const handler = service.handlers.find(([type]) => type === task.type)?.[1];
    if (handler === undefined) throw new Error(`no handler of ${task.type}`);
    await handler.check?.(task);
    const operation = operationOf(task);
    const { signal } = new AbortController();
    const told = { progress: () => undefined, output: () => undefined };
    return handler.run({ device: 'edge-1', operation, task, resumed: false, signal, ...told });
  }

  const push: OperationTask = { type: 'push-folder', file: { ...reference, name: 'site', folder: true }, path: '/srv/site' };

  it('asks for a folder by a command of its own, which an agent that knows files only cannot take for a file', async () => {
    await service.receiveUpload(reference.sha256, Readable.from([archive]), { offset: 0, size: archive.length });
    const asked: Command[] = [];
    answer = (command) => {
      asked.push(command);
      return { ok: true, transfer: { ...reference, changed: true, folder: true } };
    };
    expect(await run(push)).toEqual({ changed: true });
    expect(asked).toMatchObject([{ type: 'push-folder', operation: 'op-1', file: reference, path: '/srv/site' }]);
    expect(contentOf(operationOf(push))).toEqual([reference.sha256]);

    answer = () => ({ ok: false, error: { code: 'INPUT_INVALID', message: 'This agent does not know that command.' } });
    await expect(run(push)).rejects.toMatchObject({ code: 'INPUT_INVALID', message: expect.stringContaining('too old for folders') });
  });

  it('refuses a folder whose archive it does not have', async () => {
    await expect(run(push)).rejects.toMatchObject({ code: 'REFERENCE_MISSING' });
  });

  it('tells what a device has sent: a folder, or a file', async () => {
    answer = async () => {
      await service.receiveFromDevice('edge-1', 'op-1', Readable.from([archive]), { offset: 0, size: archive.length });
      return { ok: true, transfer: { ...reference, changed: false, folder: true } };
    };
    const pull: OperationTask = { type: 'pull', path: '/var/log/app', folder: true };
    expect(await run(pull)).toEqual({ file: { ...reference, name: 'app', folder: true }, changed: false });
    answer = () => ({ ok: true, transfer: { ...reference, changed: false } });
    expect(await run({ ...pull, check: true })).toEqual({ file: { ...reference, name: 'app' }, changed: false });
  });
});
