import { attribute } from '@selvedge/graph/onnx';
import { Network, type Value } from '../../../bench/native/network.ts';
import type { AgreementModel } from '../agreement/agreement-model.ts';

export const SPOT_INPUT = 96;
const CELL = 8;
const GRID = SPOT_INPUT / CELL;
const CELLS = GRID * GRID;
/** Centre x and y, width, height, score. */
const ROWS = 5;

/** One box for each white cell of 8 x 8: a detector whose answers can be told beforehand. */
export function spotFinder(): AgreementModel {
  const net = new Network(1);
  const input: Value = { name: 'input', shape: [1, 3, SPOT_INPUT, SPOT_INPUT] };
  const weights = new Float32Array(ROWS * 3 * CELL * CELL);
  weights.fill(1 / (3 * CELL * CELL), (ROWS - 1) * 3 * CELL * CELL);
  const brightness = net.node('Conv', [input.name, net.constant([ROWS, 3, CELL, CELL], weights)], [1, ROWS, GRID, GRID], {
    kernel_shape: attribute.ints([CELL, CELL]),
    strides: attribute.ints([CELL, CELL]),
  });
  const boxes = new Float32Array(ROWS * CELLS);
  boxes.fill(CELL, 2 * CELLS, 4 * CELLS);
  for (let cell = 0; cell < CELLS; cell += 1) {
    boxes[cell] = ((cell % GRID) + 0.5) * CELL;
    boxes[CELLS + cell] = (Math.floor(cell / GRID) + 0.5) * CELL;
  }
  const flat = net.reshape(brightness, [1, ROWS, CELLS]);
  const output = net.node('Add', [flat.name, net.constant([1, ROWS, CELLS], boxes)], flat.shape);
  return {
    name: 'spot',
    model: net.finish('spot', input, output),
    labels: ['spot'],
    preproc: { pipeline: ['resize', 'hwctochw', 'scale'], params: { resize: [SPOT_INPUT, SPOT_INPUT], scale: [0, 1] } },
    postproc: { pipeline: ['nms'], params: { nms: { IoU_thr: 0.5, conf_thr: 0.95, max_boxes: 50 } } },
    sampleShape: [3, SPOT_INPUT, SPOT_INPUT],
    train: { x: [new Float32Array(3 * SPOT_INPUT * SPOT_INPUT)], y: [0] },
    test: undefined,
    drawPicture: () => ({ width: 1, height: 1, channels: 3, data: new Uint8Array(3) }),
  };
}
