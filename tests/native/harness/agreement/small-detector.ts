// A detector with random weights: every kind of layer that the large ones have, on pictures of 96 x 96.
import { float32Tensor, type Model } from '@selvedge/graph/onnx';
import { preprocessImage, type RawImage } from '@selvedge/graph/ops';
import { Network, type Value } from '../../../bench/native/network.ts';
import { drawPicture } from '../../../bench/native/pictures.ts';
import type { AgreementModel } from './agreement-model.ts';

const SIZE = 96;
const LABELS = ['bolt', 'nut', 'washer'];
const CALIBRATION_PICTURES = 40;
/** Of the test pictures: another form than the input's, and too small for the decoder to scale while it decodes. */
const [WIDTH, HEIGHT] = [128, 112];
/** Boxes of about four cells, few cells with an object. */
const HEAD_BIAS = [0.7, 0.7, 0.7, 0.7, -3, -3, -3];
/** Random weights tell cells less apart than trained ones do. */
const SCORE_GAIN = 6;
const PREPROC: AgreementModel['preproc'] = { pipeline: ['resize', 'hwctochw', 'scale'], params: { resize: [SIZE, SIZE], scale: [-1, 1] } };

function block(net: Network, x: Value, filters: number, kernel = 1, stride = 1): Value {
  return net.silu(net.conv(x, { filters, kernel, stride }));
}

function head(net: Network, x: Value): Value {
  const made = net.conv(block(net, x, 24, 3), { filters: HEAD_BIAS.length, bias: HEAD_BIAS });
  const [, channels = 1, height = 1, width = 1] = made.shape;
  return net.reshape(made, [1, channels, height * width]);
}

/** Centre (x, then y) and size of every cell, in pixels. */
function cells(levels: readonly Value[]): { centres: Float32Array; strides: Float32Array } {
  const x: number[] = [];
  const y: number[] = [];
  const strides: number[] = [];
  for (const level of levels) {
    const count = level.shape[2] ?? 1;
    const edge = Math.sqrt(count);
    for (let cell = 0; cell < count; cell += 1) {
      x.push(((cell % edge) + 0.5) * (SIZE / edge));
      y.push((Math.floor(cell / edge) + 0.5) * (SIZE / edge));
      strides.push(SIZE / edge);
    }
  }
  return { centres: Float32Array.from([...x, ...y]), strides: Float32Array.from(strides) };
}

/** Distances to the four sides, in cells, to centre, size and scores: the form that `nms` takes. */
function decode(net: Network, levels: readonly Value[]): Value {
  const { centres, strides } = cells(levels);
  const boxes = strides.length;
  const all = net.concat(levels, 2);
  const stride = net.constant([1, 1, boxes], strides);
  const [least, most] = [net.constant([], Float32Array.of(-4)), net.constant([], Float32Array.of(4))];
  const side = (from: number): Value => {
    const limited = net.node('Clip', [net.slice(all, 1, from, from + 2).name, least, most], [1, 2, boxes]);
    const distance = net.node('Exp', [limited.name], [1, 2, boxes]);
    return net.node('Mul', [distance.name, stride], [1, 2, boxes]);
  };
  const [near, far] = [side(0), side(2)];
  const shift = net.node('Sub', [far.name, near.name], [1, 2, boxes]);
  const half = net.node('Mul', [shift.name, net.constant([], Float32Array.of(0.5))], [1, 2, boxes]);
  const centre = net.node('Add', [half.name, net.constant([1, 2, boxes], centres)], [1, 2, boxes]);
  const scores = net.slice(all, 1, 4, 4 + LABELS.length);
  return net.concat([centre, net.add(near, far), net.node('Sigmoid', [scores.name], scores.shape)], 1);
}

/** Multiplies the weights of the heads that give scores. */
function withGain(model: Model): Model {
  const initializers = new Map(model.graph.initializers);
  for (const { op, inputs } of model.graph.nodes) {
    const tensor = initializers.get(inputs[1] ?? '');
    if (op !== 'Conv' || tensor?.type !== 'float32' || tensor.dims[0] !== HEAD_BIAS.length) continue;
    const firstScore = (tensor.data.length / HEAD_BIAS.length) * 4;
    const scaled = tensor.data.map((weight, index) => (index < firstScore ? weight : weight * SCORE_GAIN));
    initializers.set(inputs[1] ?? '', float32Tensor([...tensor.dims], scaled));
  }
  return { ...model, graph: { ...model.graph, initializers } };
}

/** Residual, cross-stage, pooled and upsampled paths, and heads of two resolutions. */
export function detectorModel(): AgreementModel {
  const net = new Network(8);
  const input: Value = { name: 'input', shape: [1, 3, SIZE, SIZE] };
  const wide = block(net, block(net, input, 8, 3, 2), 16, 3, 2);
  const deep = block(net, net.concat([wide, net.add(wide, block(net, wide, 16, 3))], 1), 24);
  const low = block(net, deep, 32, 3, 2);
  const pooled = block(net, net.concat([low, net.maxPool(low, 5, 1, 2)], 1), 32);
  const up = block(net, net.concat([net.upsample(pooled), deep], 1), 24);
  const tensorOf = (picture: RawImage) => preprocessImage(picture, PREPROC).data;
  const calibration = Array.from({ length: CALIBRATION_PICTURES }, (_, index) => tensorOf(drawPicture(900 + index, SIZE, SIZE)));
  return {
    name: 'detector',
    model: withGain(net.finish('detector', input, decode(net, [head(net, up), head(net, pooled)]))),
    labels: LABELS,
    preproc: PREPROC,
    postproc: { pipeline: ['nms'], params: { nms: { IoU_thr: 0.5, conf_thr: 0.25, max_boxes: 50 } } },
    sampleShape: [3, SIZE, SIZE],
    train: { x: calibration, y: calibration.map(() => 0) },
    test: undefined,
    drawPicture: (index) => drawPicture(index + 1, WIDTH, HEIGHT),
  };
}
