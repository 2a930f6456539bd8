import { describe, expect, it } from 'vitest';
import { trainBlockSchema, trainingKind } from './train-block.ts';
import { MAX_SCRIPT_CHARACTERS } from './train-python.ts';

const script = { path: 'train.py', text: 'print(1)\n' };
const faults = (block: unknown) =>
  trainBlockSchema.safeParse(block).error?.issues.map(({ path, message }) => `${path.join('.')}: ${message}`) ?? [];

describe('the engine "python"', () => {
  it('takes a script, files, arguments and requirements', () => {
    const block = {
      engine: 'python',
      script,
      files: [{ path: 'lib/layers.py', text: '' }],
      args: { depth: 3, name: 'a', list: [1, { b: null }] },
      requirements: ['--extra-index-url https://download.pytorch.org/whl/cpu', 'torch==2.4.1'],
      interpreter: 'python3.11',
      timeout_s: 3600,
      learns: 'identity',
      resources: { cpus: 1 },
    };
    expect(faults(block)).toEqual([]);
    expect(trainingKind(trainBlockSchema.parse(block))).toBe('identity');
    expect(trainingKind({ engine: 'python' })).toBeUndefined();
  });

  it.each<[string, Record<string, unknown>, RegExp]>([
    ['no script', {}, /^script: is missing/],
    ['an option of the other engine', { script, network: 'mlp' }, /^network: is of the engine "onnx"/],
    ['a script that was not embedded', { script: 'train.py' }, /^script: /],
    ['two files of one name', { script, files: [script] }, /^files: there are two files "train.py"/],
    ['a file outside', { script: { ...script, path: '../train.py' } }, /^script\.path: /],
    ['a file in place of the model', { script, files: [{ path: 'model.onnx', text: '' }] }, /^files\.0\.path: /],
    ['a reference in the text', { script: { path: 'a.py', text: `f"${'$'}{{x}}"` } }, /^script\.text: holds/],
    ['too much text', { script, files: [{ path: 'a.py', text: 'x'.repeat(MAX_SCRIPT_CHARACTERS) }] }, /^files: are, with the script, more/],
    ['a requirement of two lines', { script, requirements: ['a\nb'] }, /^requirements\.0: must be one line/],
    ['an interpreter with arguments', { script, interpreter: 'python3 -c x' }, /^interpreter: /],
  ])('refuses %s', (_what, change, message) => {
    expect(faults({ engine: 'python', ...change })).toEqual(expect.arrayContaining([expect.stringMatching(message)]));
  });

  it('is needed for a script', () => {
    expect(faults({ script, timeout_s: 1 })).toEqual([
      expect.stringMatching(/^script: goes with the engine "python"/),
      expect.stringMatching(/^timeout_s: /),
    ]);
  });
});
