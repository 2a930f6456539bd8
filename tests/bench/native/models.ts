// The three networks that native packages are measured with: a digit CNN, a MobileNetV2 at 224 and a YOLOv8n-like detector at 320.
import type { Model } from '@selvedge/graph/onnx';
import { Network, type Value } from './network.ts';

export interface TestNetwork {
  name: string;
  model: Model;
  macs: number;
  labels: string[];
  preproc: { pipeline: string[]; params: object };
  postproc: { pipeline: string[]; params?: object };
}

const names = (count: number) => Array.from({ length: count }, (_, index) => `class${index}`);

/** Two convolutions and two dense layers on 28 x 28 grey pixels. */
export function digitNetwork(): TestNetwork {
  const net = new Network(1);
  const input: Value = { name: 'input', shape: [1, 1, 28, 28] };
  const one = net.maxPool(net.relu(net.conv(input, { filters: 16, kernel: 3 })), 2, 2, 0);
  const two = net.maxPool(net.relu(net.conv(one, { filters: 32, kernel: 3 })), 2, 2, 0);
  const hidden = net.relu(net.dense(two, 28));
  const output = net.dense(hidden, 10);
  return {
    name: 'digits',
    model: net.finish('digits', input, output),
    macs: net.macs,
    labels: names(10),
    preproc: { pipeline: ['resize', 'grayscale', 'hwctochw', 'scale'], params: { resize: [28, 28], scale: [-1, 1] } },
    postproc: { pipeline: ['softmax', 'topk'], params: { topk: { k: 3 } } },
  };
}

/** [expansion, channels, repeats, stride] of each stage: Sandler et al. 2018, table 2. */
const STAGES = [
  [1, 16, 1, 1],
  [6, 24, 2, 2],
  [6, 32, 3, 2],
  [6, 64, 4, 2],
  [6, 96, 3, 1],
  [6, 160, 3, 2],
  [6, 320, 1, 1],
] as const;

export function mobileNetwork(): TestNetwork {
  const net = new Network(2);
  const input: Value = { name: 'input', shape: [1, 3, 224, 224] };
  let x = net.relu6(net.conv(input, { filters: 32, kernel: 3, stride: 2 }));
  for (const [expansion, filters, repeats, first] of STAGES) {
    for (let index = 0; index < repeats; index++) {
      const channels = x.shape[1] ?? 1;
      const stride = index === 0 ? first : 1;
      const wide = expansion === 1 ? x : net.relu6(net.conv(x, { filters: channels * expansion }));
      const groups = wide.shape[1] ?? 1;
      const deep = net.relu6(net.conv(wide, { filters: groups, kernel: 3, stride, groups }));
      const narrow = net.conv(deep, { filters });
      x = stride === 1 && channels === filters ? net.add(x, narrow) : narrow;
    }
  }
  const features = net.globalAveragePool(net.relu6(net.conv(x, { filters: 1280 })));
  const output = net.dense(features, 1000);
  return {
    name: 'mobilenet',
    model: net.finish('mobilenet', input, output),
    macs: net.macs,
    labels: names(1000),
    preproc: {
      pipeline: ['resize', 'hwctochw', 'scale', 'normalize'],
      params: { resize: [224, 224], scale: [0, 1], normalize: { mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] } },
    },
    postproc: { pipeline: ['softmax', 'topk'], params: { topk: { k: 5 } } },
  };
}

const CLASSES = 3;
/** As a trained detector has them: distances of two cells, and hardly any cell with an object. */
export const HEAD_BIAS: readonly number[] = [0.7, 0.7, 0.7, 0.7, -4, -4, -4];
/** How much they differ from cell to cell. */
export const HEAD_DEVIATION: readonly number[] = [0.3, 0.3, 0.3, 0.3, 1, 1, 1];

function block(net: Network, x: Value, filters: number, kernel = 1, stride = 1): Value {
  return net.silu(net.conv(x, { filters, kernel, stride }));
}

/** Cross-stage block: two branches, one with `repeats` bottlenecks whose outputs are all kept. */
function crossStage(net: Network, x: Value, filters: number, repeats: number, shortcut: boolean): Value {
  const half = filters / 2;
  const parts = [block(net, x, half), block(net, x, half)];
  for (let index = 0; index < repeats; index++) {
    const last = parts[parts.length - 1] as Value;
    const made = block(net, block(net, last, half, 3), half, 3);
    parts.push(shortcut ? net.add(last, made) : made);
  }
  return block(net, net.concat(parts, 1), filters);
}

function pyramidPool(net: Network, x: Value, filters: number): Value {
  const parts = [block(net, x, filters / 2)];
  for (let index = 0; index < 3; index++) parts.push(net.maxPool(parts[index] as Value, 5, 1, 2));
  return block(net, net.concat(parts, 1), filters);
}

function head(net: Network, x: Value): Value {
  const made = net.conv(block(net, block(net, x, 64, 3), 64, 3), { filters: 4 + CLASSES, bias: HEAD_BIAS });
  const [, channels = 1, height = 1, width = 1] = made.shape;
  return net.reshape(made, [1, channels, height * width]);
}

/** Distances to the four sides, in cells, to [cx, cy, w, h, scores...] in pixels: the form that `nms` takes. */
function decode(net: Network, levels: readonly Value[], size: number): Value {
  const all = net.concat(levels, 2);
  const boxes = all.shape[2] ?? 1;
  const centres = new Float32Array(2 * boxes);
  const strides = new Float32Array(boxes);
  let at = 0;
  for (const level of levels) {
    const edge = Math.sqrt(level.shape[2] ?? 1);
    for (let cell = 0; cell < edge * edge; cell++, at++) {
      const stride = size / edge;
      centres[at] = ((cell % edge) + 0.5) * stride;
      centres[boxes + at] = (Math.floor(cell / edge) + 0.5) * stride;
      strides[at] = stride;
    }
  }
  const stride = net.constant([1, 1, boxes], strides);
  const limit = (x: Value) =>
    net.node('Clip', [x.name, net.constant([], Float32Array.of(-6)), net.constant([], Float32Array.of(6))], x.shape);
  const side = (from: number) => {
    const distance = net.node('Exp', [limit(net.slice(all, 1, from, from + 2)).name], [1, 2, boxes]);
    return net.node('Mul', [distance.name, stride], [1, 2, boxes]);
  };
  const [near, far] = [side(0), side(2)];
  const shift = net.node('Sub', [far.name, near.name], [1, 2, boxes]);
  const half = net.node('Mul', [shift.name, net.constant([], Float32Array.of(0.5))], [1, 2, boxes]);
  const centre = net.node('Add', [half.name, net.constant([1, 2, boxes], centres)], [1, 2, boxes]);
  const scores = net.slice(all, 1, 4, 4 + CLASSES);
  return net.concat([centre, net.add(near, far), net.node('Sigmoid', [scores.name], scores.shape)], 1);
}

export function detectorNetwork(): TestNetwork {
  const net = new Network(3);
  const size = 320;
  const input: Value = { name: 'input', shape: [1, 3, size, size] };
  const p2 = crossStage(net, block(net, block(net, input, 16, 3, 2), 32, 3, 2), 32, 1, true);
  const p3 = crossStage(net, block(net, p2, 64, 3, 2), 64, 2, true);
  const p4 = crossStage(net, block(net, p3, 128, 3, 2), 128, 2, true);
  const p5 = pyramidPool(net, crossStage(net, block(net, p4, 256, 3, 2), 256, 1, true), 256);
  const up4 = crossStage(net, net.concat([net.upsample(p5), p4], 1), 128, 1, false);
  const up3 = crossStage(net, net.concat([net.upsample(up4), p3], 1), 64, 1, false);
  const down4 = crossStage(net, net.concat([block(net, up3, 64, 3, 2), up4], 1), 128, 1, false);
  const down5 = crossStage(net, net.concat([block(net, down4, 128, 3, 2), p5], 1), 256, 1, false);
  const output = decode(net, [head(net, up3), head(net, down4), head(net, down5)], size);
  return {
    name: 'detector',
    model: net.finish('detector', input, output),
    macs: net.macs,
    labels: names(CLASSES),
    preproc: { pipeline: ['resize', 'hwctochw', 'scale'], params: { resize: [size, size], scale: [0, 1] } },
    postproc: { pipeline: ['nms'], params: { nms: { IoU_thr: 0.5, conf_thr: 0.25, max_boxes: 100 } } },
  };
}
