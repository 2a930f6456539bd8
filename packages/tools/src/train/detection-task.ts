import { AppError } from '@selvedge/contract';
import { type DetectedBox, meanAveragePrecision, type TruthBox } from '@selvedge/graph/metrics';
import { detectionGridOf, detectionTargets, detectionTargetsLength, prepareGrid, type TargetBox } from '@selvedge/graph/networks';
import type { Model } from '@selvedge/graph/onnx';
import { boxTable, nms } from '@selvedge/graph/ops';
import { BOX_VALUES } from '../tensor-set/tensor-set-writer.ts';
import { forEachOutput, type TaskData, type TrainingTask } from './training-task.ts';

/** A low threshold of confidence: what is cut off is lost for the recall. */
const MEASURED = { IoU_thr: 0.5, conf_thr: 0.01, max_boxes: 100 };

/** Boxes of a tensor set as the networks take them. */
export function targetBoxes(values: Float32Array): TargetBox[] {
  return Array.from({ length: values.length / BOX_VALUES }, (_, at) => {
    const [index = 0, x1 = 0, y1 = 0, x2 = 0, y2 = 0] = values.subarray(at * BOX_VALUES, (at + 1) * BOX_VALUES);
    return { box: [x1, y1, x2, y2], index };
  });
}

/** @throws AppError SHAPE_MISMATCH (user) when the model finds another number of classes than the dataset has. */
export function detectionTask({ info }: TaskData, model: Model): TrainingTask {
  const grid = detectionGridOf(model);
  if (grid.classes !== info.labels.length) {
    throw new AppError('SHAPE_MISMATCH', {
      message: `The model finds ${grid.classes} classes of objects; the dataset has ${info.labels.length}: ${info.labels.join(', ')}.`,
      hint: 'Train a new "tiny-detector", or use a dataset with the same classes.',
    });
  }
  const prepared = prepareGrid(grid);
  const length = detectionTargetsLength(prepared);
  const rows = 4 + grid.classes;
  return {
    kind: 'detection',
    loss: { kind: 'detection' },
    measuresTraining: false,
    labels: (indices, boxes) => {
      const y = new Float32Array(indices.length * length);
      for (const [i, some] of boxes.entries()) y.set(detectionTargets(targetBoxes(some), prepared), i * length);
      return y;
    },
    measure: async (trainer, source, indices, signal) => {
      const found: DetectedBox[] = [];
      const truths: TruthBox[] = [];
      await forEachOutput(trainer, source, indices, signal, (outputs, chunk) => {
        const size = outputs.length / chunk.length;
        for (const [i, image] of chunk.entries()) {
          const table = boxTable(outputs.subarray(i * size, (i + 1) * size), [rows, size / rows], info.labels);
          for (const box of nms(table, MEASURED, info.labels)) found.push({ ...box, image });
          for (const box of targetBoxes(source.boxes[image] ?? new Float32Array())) truths.push({ ...box, image });
        }
      });
      const { map50, map } = meanAveragePrecision(found, truths);
      return { map50, map };
    },
  };
}
