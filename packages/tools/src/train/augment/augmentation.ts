import { AppError, type Augment, type TensorSet } from '@selvedge/contract';
import { createRandom } from '@selvedge/graph/train';
import { targetBoxes } from '../detection-task.ts';
import { changeColours, type Range } from './colours.ts';
import { drawPlacement, moveBoxes, movePixels } from './placement.ts';

/** Keeps the stream apart from those of weights, shuffling and dropout, which start from the same seed. */
const STREAM = 0x5417;

/** Changes the pictures of a batch in place; returns the boxes where they lie then. */
export type AugmentBatch = (batch: Float32Array, boxes: readonly Float32Array[], step: number) => readonly Float32Array[];

/**
 * The augmentation that a pipeline asks for; undefined when it changes nothing. What is drawn follows from seed, step and the
 * place in the batch alone, so that a training that goes on from a checkpoint sees the same pictures.
 *
 * @throws AppError INPUT_INVALID (user) when the tensors are no pictures, or have no colours where saturation is asked for.
 */
export function planAugmentation(info: TensorSet, options: Augment | undefined, seed: number): AugmentBatch | undefined {
  const { shift = 0, flip, crop = 0, rotate = 0, ...colours } = options ?? {};
  const moves = shift > 0 || flip !== undefined || crop > 0 || rotate > 0;
  const recolours = Object.values(colours).some((value = 0) => value > 0);
  if (options === undefined || (!moves && !recolours)) return undefined;
  const [channels = 0, height = 0, width = 0] = info.sampleShape;
  checkPictures(info, options, channels);
  const range: Range = info.range ?? { black: new Array(channels).fill(0), white: new Array(channels).fill(1) };
  const size = { height, width };
  const length = channels * height * width;
  const source = new Float32Array(length);
  return (batch, boxes, step) => {
    const random = createRandom(seed, STREAM, step);
    const moved = [...boxes];
    for (let at = 0; at < batch.length / length; at += 1) {
      const picture = batch.subarray(at * length, (at + 1) * length);
      const placement = drawPlacement(options, size, random);
      if (placement !== undefined) {
        source.set(picture);
        movePixels(source, picture, channels, size, placement);
        const given = boxes[at];
        if (given !== undefined) moved[at] = toValues(moveBoxes(targetBoxes(given), size, placement));
      }
      if (recolours) changeColours(picture, size, options, range, random);
    }
    return moved;
  };
}

function checkPictures(info: TensorSet, options: Augment, channels: number): void {
  if (info.layout !== 'CHW')
    throw new AppError('INPUT_INVALID', {
      message: 'train.augment changes pictures, and the samples are rows of a table.',
      hint: 'Remove train.augment.',
    });
  if ((options.saturation ?? 0) > 0 && channels !== 3) {
    throw new AppError('INPUT_INVALID', {
      message: `train.augment.saturation needs pictures with 3 channels; these have ${channels}.`,
      hint: 'Remove it, or remove "grayscale" from preproc.pipeline.',
    });
  }
  const { brightness = 0, contrast = 0, saturation = 0, noise = 0, cutout = 0 } = options;
  if (brightness + contrast + saturation + noise + cutout > 0 && info.range === undefined) {
    throw new AppError('DATASET_FORMAT', {
      message: 'The tensors do not say what black and white are, so their colours cannot be changed.',
      hint: 'Run the export and split steps again: tensors made by an older version do not have it.',
    });
  }
}

function toValues(boxes: ReturnType<typeof moveBoxes>): Float32Array {
  return Float32Array.from(boxes.flatMap(({ box, index }) => [index, ...box]));
}
