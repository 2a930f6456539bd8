import { join } from 'node:path';
import type { EngineName, Precision } from '@selvedge/contract';
import { writeModel } from '@selvedge/graph/onnx';
import { expect } from 'vitest';
import { testTarget } from '../targets.ts';
import { type AgreementModel, writeSampleSet, writeTestPictures } from './agreement-model.ts';
import { type BuiltPackage, buildTestPackage, withModel } from './built-package.ts';
import { obstacleTo, runOnCore } from './cores.ts';
import { type Answer, parseAnswers, quantisedFile, referenceAnswers } from './reference.ts';

/** One package on one core. */
export interface AgreementCase {
  readonly target: string;
  readonly engine: EngineName;
  readonly precision: Exclude<Precision, 'auto'>;
  /** Undefined: this machine. */
  readonly core: string | undefined;
}

/** Files and answers of one precision; packages in half precision are compared with the model as trained. */
interface Reference {
  readonly onnx: Uint8Array;
  readonly answers: readonly Answer[];
}

type Numbers = 'trained' | 'int8' | 'uint8';

/** What the engine computes: ONNX Runtime on x86 has another form of int8. */
function numbersOf({ target, engine, precision }: AgreementCase): Numbers {
  if (precision !== 'int8') return 'trained';
  return engine === 'onnxruntime' && target === 'linux-amd64' ? 'uint8' : 'int8';
}

/** Calls `make` once for each key. */
function remembered<T>(make: (key: string) => Promise<T>): (key: string) => Promise<T> {
  const known = new Map<string, Promise<T>>();
  return (key) => {
    const present = known.get(key) ?? make(key);
    known.set(key, present);
    return present;
  };
}

export interface AgreementBench {
  /** What ONNX Runtime answers in the precision of the case. */
  expected(one: AgreementCase): readonly Answer[];
  /** ... and with the model as trained. */
  readonly trained: readonly Answer[];
  /** Why the case cannot be run here; undefined when it can. */
  obstacle(one: AgreementCase): Promise<string | undefined>;
  build(one: AgreementCase): Promise<BuiltPackage>;
  /** The package's answers to the first pictures. */
  answers(one: AgreementCase, limit: number): Promise<Answer[]>;
}

async function makeReferences(model: AgreementModel, samples: string, pictures: readonly string[]): Promise<Record<Numbers, Reference>> {
  const reference = async (onnx: Uint8Array): Promise<Reference> => ({ onnx, answers: await referenceAnswers(model, onnx, pictures) });
  return {
    trained: await reference(writeModel(model.model)),
    int8: await reference(await quantisedFile(model, samples, 'int8')),
    uint8: await reference(await quantisedFile(model, samples, 'uint8')),
  };
}

/**
 * Test pictures and reference answers of a model, and packages, each built when it is first asked for.
 *
 * @param ortPackage - folder of a package of the engine onnxruntime for a target: built once for all models, as its
 *   executable and libraries are the same for all.
 */
export async function agreementBench(
  model: AgreementModel,
  folder: string,
  pictureCount: number,
  ortPackage?: (target: string) => Promise<BuiltPackage>,
): Promise<AgreementBench> {
  const [samples, pictures] = [join(folder, 'samples'), join(folder, 'pictures')];
  await writeSampleSet(model, samples);
  const names = await writeTestPictures(model, pictures, pictureCount);
  const references = await makeReferences(
    model,
    samples,
    names.map((name) => join(pictures, name)),
  );
  const open = (name: string) => testTarget(name, ['onnxruntime']);
  const built = remembered(async (key): Promise<BuiltPackage> => {
    const [target = '', engine = '', precision = ''] = key.split(' ');
    const own = join(folder, key.replaceAll(' ', '-'));
    const numbers = numbersOf({ target, engine, precision } as AgreementCase);
    if (engine === 'onnxruntime' && ortPackage !== undefined) {
      const { files, report } = await ortPackage(target);
      return { report, files: await withModel(files, model, references[numbers].onnx, own) };
    }
    const build = { engine, precision } as Pick<AgreementCase, 'engine' | 'precision'>;
    return buildTestPackage({ model, target: await open(target), build, samples, folder: own });
  });
  const build = ({ target, engine, precision }: AgreementCase) => built(`${target} ${engine} ${precision}`);
  return {
    expected: (one) => references[numbersOf(one)].answers,
    trained: references.trained.answers,
    obstacle: async ({ target, core, engine }) => obstacleTo(await open(target), core, engine),
    build,
    async answers(one, limit) {
      const { files } = await build(one);
      const run = { target: await open(one.target), core: one.core, engine: one.engine, files };
      const { exitCode, stdout, stderr } = await runOnCore(run, ['--input', pictures, '--limit', String(limit)]);
      // ONNX Runtime of Debian complains of its own schemas: that stays inside.
      expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' });
      return parseAnswers(stdout);
    },
  };
}
