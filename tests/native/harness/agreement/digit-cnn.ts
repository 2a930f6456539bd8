// The classifier of the examples, trained for some seconds: weights that a user could have.
import { buildNetwork, type Model } from '@selvedge/graph/onnx';
import { preprocessImage, type RawImage } from '@selvedge/graph/ops';
import { createTrainer, epochBatches, optimizerFrom } from '@selvedge/graph/train';
import { renderDigit } from '../../../../examples/digits/render-digit.ts';
import { randomStream } from '../../../../examples/drawing/random.ts';
import type { AgreementModel, LabelledSamples } from './agreement-model.ts';

const TRAINED_PICTURES = 1500;
const SCORED_PICTURES = 400;
const EPOCHS = 8;
const BATCH = 30;
const LEARNING_RATE = 0.004;
const CLASSES = 10;
const SAMPLE = [1, 28, 28] as const;
const PREPROC: AgreementModel['preproc'] = {
  pipeline: ['resize', 'grayscale', 'hwctochw', 'scale'],
  params: { resize: [28, 28], scale: [-1, 1] },
};

/** Picture `index` of a stream of its own: no picture of one stream is in another. */
function drawDigit(stream: number, index: number): RawImage {
  return { ...renderDigit(index % CLASSES, randomStream(stream, index)), channels: 3 };
}

function drawSamples(stream: number, count: number): LabelledSamples {
  const indices = Array.from({ length: count }, (_, index) => index);
  return {
    x: indices.map((index) => preprocessImage(drawDigit(stream, index), PREPROC).data),
    y: indices.map((index) => index % CLASSES),
  };
}

function gather({ x, y }: LabelledSamples, indices: Int32Array): { x: Float32Array; y: Int32Array } {
  const size = x[0]?.length ?? 0;
  const batch = new Float32Array(indices.length * size);
  for (const [at, index] of indices.entries()) batch.set(x[index] ?? [], at * size);
  return { x: batch, y: Int32Array.from(indices, (index) => y[index] ?? 0) };
}

const untrained = (): Model => buildNetwork({ layers: 'small-cnn', inputShape: [...SAMPLE], classes: CLASSES, seed: 1 });

async function train(samples: LabelledSamples): Promise<Model> {
  const options = { loss: 'cross-entropy', optimizer: optimizerFrom({}), batchSize: BATCH, seed: 1 } as const;
  const trainer = await createTrainer({ model: untrained(), ...options });
  try {
    for (let epoch = 0; epoch < EPOCHS; epoch += 1) {
      const rate = LEARNING_RATE * (1 - epoch / EPOCHS);
      for (const batch of epochBatches({ count: samples.x.length, batchSize: BATCH, seed: 1, epoch }))
        await trainer.trainStep(gather(samples, batch), rate);
    }
    return trainer.exportModel();
  } finally {
    await trainer.close();
  }
}

function digitsWith(model: Model, train: LabelledSamples, test: LabelledSamples | undefined): AgreementModel {
  return {
    name: 'digits',
    model,
    labels: [...'0123456789'],
    preproc: PREPROC,
    postproc: { pipeline: ['softmax', 'topk'], params: { topk: { k: CLASSES } } },
    sampleShape: [...SAMPLE],
    train,
    test,
    drawPicture: (index) => drawDigit(3, index),
  };
}

/** A small CNN that reads the digits of the examples, with samples to calibrate and to score it. */
export async function digitModel(): Promise<AgreementModel> {
  const samples = drawSamples(1, TRAINED_PICTURES);
  return digitsWith(await train(samples), samples, drawSamples(2, SCORED_PICTURES));
}

/** The same network with the weights that it starts with, for tests in which no answer needs to be right. */
export function untrainedDigitModel(): AgreementModel {
  return digitsWith(untrained(), drawSamples(1, CLASSES), undefined);
}
