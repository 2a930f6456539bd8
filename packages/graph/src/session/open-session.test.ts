import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { AppError } from '@selvedge/contract';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { buildNetwork, float32Tensor, writeModel } from '../onnx/index.ts';
import { openSession, type Session, type Tensor } from './index.ts';

const bytes = writeModel(buildNetwork({ layers: ['classifier'], inputShape: [1, 2, 2], classes: 3, seed: 1 }));
const pictures = (count: number): Tensor =>
  float32Tensor(
    [count, 1, 2, 2],
    Float32Array.from({ length: count * 4 }, (_, i) => i),
  );

const codeOf = (promise: Promise<unknown>): Promise<string> =>
  promise.then(
    () => 'no error',
    (error: AppError) => error.code,
  );

describe('openSession', () => {
  let session: Session;
  beforeEach(async () => {
    session = await openSession(bytes);
  });
  afterEach(() => session.close());

  it('runs batches of any size', async () => {
    const one = await session.run({ input: pictures(1) });
    const three = await session.run({ input: pictures(3) });
    expect(three.logits?.dims).toEqual([3, 3]);
    expect(three.logits?.data.slice(0, 3)).toEqual(one.logits?.data);
  });

  it('writes into given memory', async () => {
    const into = float32Tensor([2, 3], new Float32Array(6));
    const result = await session.run({ input: pictures(2) }, { logits: into });
    expect(result.logits).toBe(into);
    expect(into.data).toEqual((await session.run({ input: pictures(2) })).logits?.data);
  });

  it('refuses feeds that do not fit, naming the input', async () => {
    expect(await codeOf(session.run({}))).toBe('SHAPE_MISMATCH');
    expect(await codeOf(session.run({ input: pictures(1), other: pictures(1) }))).toBe('SHAPE_MISMATCH');
    expect(await codeOf(session.run({ input: { type: 'int32', dims: [1, 1, 2, 2], data: new Int32Array(4) } }))).toBe('SHAPE_MISMATCH');
    await expect(session.run({ input: float32Tensor([1, 1, 2, 3], new Float32Array(6)) })).rejects.toThrow(
      /"input" takes float32 \[\?, 1, 2, 2\]/,
    );
  });

  it('refuses to run when closed, and closes twice', async () => {
    await session.close();
    await session.close();
    expect(await codeOf(session.run({ input: pictures(1) }))).toBe('CONFLICT');
  });

  it('opens files', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'selvedge-session-'));
    await writeFile(join(folder, 'model.onnx'), bytes);
    const fromFile = await openSession(join(folder, 'model.onnx'), { threads: 2 });
    expect(fromFile.outputs).toEqual(session.outputs);
    await fromFile.close();
    expect(await codeOf(openSession(join(folder, 'none.onnx')))).toBe('MODEL_INVALID');
    await rm(folder, { recursive: true });
  });

  it('says that bytes are no model', async () => {
    expect(await codeOf(openSession(Uint8Array.of(1, 2, 3)))).toBe('MODEL_INVALID');
    expect(await codeOf(openSession(new Uint8Array(0)))).toBe('MODEL_INVALID');
  });
});
