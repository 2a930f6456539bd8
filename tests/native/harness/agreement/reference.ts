import { readFile } from 'node:fs/promises';
import { decodeImage } from '@selvedge/graph/image';
import { applyPostproc, preprocessImage } from '@selvedge/graph/ops';
import { openSession } from '@selvedge/graph/session';
import * as z from 'zod';
import { quantiseForBuild } from '../../../../packages/tools/src/build/quantise-for-build.ts';
import { openBuildSamples } from '../../../../packages/tools/src/build/samples.ts';
import type { AgreementModel } from './agreement-model.ts';

const classSchema = z.object({ label: z.string(), score: z.number() });
const boxSchema = classSchema.extend({ box: z.tuple([z.number(), z.number(), z.number(), z.number()]) });
/** Of one picture: scores of a classifier, best first, or boxes of a detector. */
export const answerSchema = z.object({ topk: z.array(classSchema).optional(), boxes: z.array(boxSchema).optional() });
export type Answer = z.infer<typeof answerSchema>;
export type FoundBox = z.infer<typeof boxSchema>;

/** What ONNX Runtime and the reference operations answer to every picture. */
export async function referenceAnswers(model: AgreementModel, onnx: Uint8Array, pictures: readonly string[]): Promise<Answer[]> {
  const session = await openSession(onnx);
  const name = session.inputs[0]?.name ?? '';
  const answers: Answer[] = [];
  try {
    for (const path of pictures) {
      const { data } = preprocessImage(await decodeImage(await readFile(path)), model.preproc);
      const outputs = await session.run({ [name]: { type: 'float32', dims: [1, ...model.sampleShape], data } });
      const output = outputs[session.outputs[0]?.name ?? ''];
      if (!(output?.data instanceof Float32Array)) throw new Error('the output is not float32');
      answers.push(answerSchema.parse(applyPostproc([{ shape: output.dims, data: output.data }], model.postproc, model.labels)));
    }
  } finally {
    await session.close();
  }
  return answers;
}

/** The quantised ONNX file that the build makes from the same samples. */
export async function quantisedFile(model: AgreementModel, samplesFolder: string, activationType: 'int8' | 'uint8'): Promise<Uint8Array> {
  const samples = await openBuildSamples(samplesFolder);
  try {
    const signal = new AbortController().signal;
    const request = { model: model.model, samples, calibration: undefined, activationType, signal, log: () => undefined };
    return (await quantiseForBuild(request)).bytes;
  } finally {
    await samples.close();
  }
}

/** The answers on a package's stdout. */
export function parseAnswers(stdout: string): Answer[] {
  const line = z.object({ result: answerSchema });
  return stdout
    .split('\n')
    .slice(0, -1)
    .map((text) => line.parse(JSON.parse(text)).result);
}
