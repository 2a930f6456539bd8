import { AppError, type PreprocOp, type PreprocParams, type PreprocSpec } from '@selvedge/contract';
import { copyView, type PixelTensor, type PixelView, type RawImage, type TensorLayout, viewImage, viewTensor } from './pixel-tensor.ts';
import { centercropView, grayscaleView, LETTERBOX_FILL, letterboxView, resizeView } from './spatial.ts';
import { checkNormalize, normalizeInPlace, scaleInPlace } from './values.ts';

/** [height, width, channels]. */
export type PictureShape = readonly [height: number, width: number, channels: number];

/** Where {@link preprocessImage} writes: e.g. the batch tensor, at the image's place in it. */
export interface PreprocTarget {
  readonly data: Float32Array;
  /** Index of the first value; default 0. */
  readonly offset?: number;
}

const SPATIAL_OPS: readonly PreprocOp[] = ['resize', 'letterbox', 'centercrop', 'grayscale'];

/** What `imageToTensor` makes of every picture. */
const IMAGE_CHANNELS = 3;

/** Between two ops: what is read next, and whether its buffer belongs to the chain and may be changed. */
interface Stage {
  readonly view: PixelView;
  readonly layout: TensorLayout;
  readonly owned?: Float32Array;
}

interface OwnedStage extends Stage {
  readonly owned: Float32Array;
}

function missingParams(op: PreprocOp): AppError {
  return new AppError('PREPROC_INVALID', { message: `"${op}" has no parameters`, hint: `Give them in preproc.params.${op}.` });
}

function needHwc(op: PreprocOp, layout: TensorLayout): void {
  if (layout === 'HWC') return;
  throw new AppError('PREPROC_INVALID', {
    message:
      op === 'hwctochw' ? '"hwctochw" got a tensor that is CHW already' : `"${op}" works on HWC pixels and must come before "hwctochw"`,
  });
}

function fromTensor(tensor: PixelTensor): Stage {
  return { view: viewTensor(tensor), layout: tensor.layout, owned: tensor.data };
}

/** The stage copied into a buffer of the chain's own. */
function moveTo(stage: Stage, layout: TensorLayout, data: Float32Array): OwnedStage {
  const { height, width, channels } = stage.view;
  copyView(stage.view, layout, data);
  return { view: viewTensor({ layout, height, width, channels, data }), layout, owned: data };
}

function writable(stage: Stage): OwnedStage {
  const { view, layout, owned } = stage;
  return owned ? { view, layout, owned } : moveTo(stage, layout, new Float32Array(sizeOf(view)));
}

function sizeOf(view: PixelView): number {
  return view.height * view.width * view.channels;
}

function runOp(op: PreprocOp, stage: Stage, params: PreprocParams, target: Float32Array | undefined): Stage {
  const { view, layout } = stage;
  if (op !== 'scale' && op !== 'normalize') needHwc(op, layout);
  switch (op) {
    case 'resize':
      if (!params.resize) throw missingParams(op);
      return fromTensor(resizeView(view, params.resize));
    case 'letterbox':
      if (!params.letterbox) throw missingParams(op);
      return fromTensor(letterboxView(view, params.letterbox.size, params.letterbox.fill ?? LETTERBOX_FILL));
    case 'centercrop':
      if (!params.centercrop) throw missingParams(op);
      return fromTensor(centercropView(view, params.centercrop));
    case 'grayscale':
      return fromTensor(grayscaleView(view));
    case 'hwctochw':
      // No op after this one changes the size, so it may write to its final place at once.
      return moveTo(stage, 'CHW', target ?? new Float32Array(sizeOf(view)));
    case 'scale': {
      if (!params.scale) throw missingParams(op);
      const next = writable(stage);
      scaleInPlace(next.owned, params.scale);
      return next;
    }
    case 'normalize': {
      if (!params.normalize) throw missingParams(op);
      const next = writable(stage);
      normalizeInPlace(next.owned, layout, view.channels, params.normalize);
      return next;
    }
  }
}

function runChain(start: Stage, spec: PreprocSpec, target?: Float32Array): PixelTensor {
  let stage = start;
  for (const op of spec.pipeline) stage = runOp(op, stage, spec.params ?? {}, target);
  const { view, layout } = stage;
  let data = stage.owned;
  if (!data || (target && data !== target)) {
    data = target ?? new Float32Array(sizeOf(view));
    copyView(view, layout, data);
  }
  return { layout, height: view.height, width: view.width, channels: view.channels, data };
}

/**
 * Runs a chain of pre-processing ops on a tensor, in the order of `spec.pipeline`. The input is not changed.
 *
 * @param tensor - values 0..255 where the chain has `scale`; HWC unless only `scale` and `normalize` follow.
 * @returns float32; HWC, or CHW after `hwctochw`.
 * @throws AppError PREPROC_INVALID (user) when an op cannot run here: parameters missing, wrong layout or channel count.
 * @throws AppError SHAPE_MISMATCH (user) when `tensor.data` has another length than its shape says.
 */
export function applyPreproc(tensor: PixelTensor, spec: PreprocSpec): PixelTensor {
  return runChain({ view: viewTensor(tensor), layout: tensor.layout }, spec);
}

/**
 * Runs the chain on a decoded picture (see `imageToTensor` for what becomes of grey and alpha). Same bits as
 * `applyPreproc(imageToTensor(image), spec)`, but the first op reads the bytes of the picture directly.
 *
 * @param target - where to write; default a new array. Values outside the image's place are left alone.
 * @returns `shape` as {@link preprocOutputShape} tells it, and `data` with that many values (a part of `target.data` if given).
 * @throws AppError PREPROC_INVALID, SHAPE_MISMATCH (user) as {@link applyPreproc}; SHAPE_MISMATCH also when the target is too short.
 */
export function preprocessImage(image: RawImage, spec: PreprocSpec, target?: PreprocTarget): { shape: number[]; data: Float32Array } {
  const view = viewImage(image);
  const shape = preprocOutputShape(spec, [view.height, view.width, view.channels]);
  const size = shape.reduce((product, edge) => product * edge, 1);
  const offset = target?.offset ?? 0;
  if (target && (offset < 0 || offset + size > target.data.length)) {
    throw new AppError('SHAPE_MISMATCH', {
      message: `The target has ${target.data.length} values; ${size} do not fit at index ${offset}`,
    });
  }
  const place = target?.data.subarray(offset, offset + size);
  return { shape, data: runChain({ view, layout: 'HWC' }, spec, place).data };
}

function pick(spec: PreprocSpec, ops: readonly PreprocOp[]): PreprocSpec {
  const all = spec.params ?? {};
  const params: PreprocParams = {};
  if (ops.includes('resize') && all.resize) params.resize = all.resize;
  if (ops.includes('letterbox') && all.letterbox) params.letterbox = all.letterbox;
  if (ops.includes('centercrop') && all.centercrop) params.centercrop = all.centercrop;
  if (ops.includes('scale') && all.scale) params.scale = all.scale;
  if (ops.includes('normalize') && all.normalize) params.normalize = all.normalize;
  return Object.keys(params).length > 0 ? { pipeline: [...ops], params } : { pipeline: [...ops] };
}

/**
 * Cuts a chain in two: `pixels`, the leading ops that keep HWC pixels of 0..255, and `tensor`, everything from the first
 * op on that changes layout or values. Applying `pixels` and then `tensor` gives the same bits as applying `spec`, as long
 * as the tensor in between is kept as float32. Each part is a valid spec (possibly with an empty pipeline).
 */
export function splitPreproc(spec: PreprocSpec): { pixels: PreprocSpec; tensor: PreprocSpec } {
  const first = spec.pipeline.findIndex((op) => !SPATIAL_OPS.includes(op));
  const cut = first < 0 ? spec.pipeline.length : first;
  return { pixels: pick(spec, spec.pipeline.slice(0, cut)), tensor: pick(spec, spec.pipeline.slice(cut)) };
}

/**
 * The shape of what a chain makes, without running it; also checks that the chain can run.
 *
 * @param spec - the chain.
 * @param inputShape - [height, width, channels] of what goes in; undefined for "any picture", which has 3 channels.
 * @returns [C, H, W] after `hwctochw`, else [H, W, C]; no batch dimension.
 * @throws AppError PREPROC_INVALID (user) when the size depends on the picture and `inputShape` is undefined, or when an op
 * cannot run: parameters missing, wrong order or channel count.
 */
export function preprocOutputShape(spec: PreprocSpec, inputShape?: PictureShape): number[] {
  const params = spec.params ?? {};
  let size: readonly [number, number] | undefined = inputShape ? [inputShape[0], inputShape[1]] : undefined;
  let channels = inputShape?.[2] ?? IMAGE_CHANNELS;
  let layout: TensorLayout = 'HWC';
  for (const op of spec.pipeline) {
    if (op !== 'scale' && op !== 'normalize') needHwc(op, layout);
    if (op !== 'grayscale' && op !== 'hwctochw' && !params[op]) throw missingParams(op);
    if (op === 'resize') size = params.resize;
    if (op === 'letterbox') size = params.letterbox?.size;
    if (op === 'centercrop') size = params.centercrop;
    if (op === 'hwctochw') layout = 'CHW';
    if (op === 'grayscale') {
      if (channels !== 1 && channels !== 3)
        throw new AppError('PREPROC_INVALID', { message: `"grayscale" needs 1 or 3 channels and got ${channels}` });
      channels = 1;
    }
    if (op === 'normalize' && params.normalize) checkNormalize(params.normalize, channels);
  }
  if (!size) {
    throw new AppError('PREPROC_INVALID', {
      message: 'The height and width of the model input are not known: no op of preproc.pipeline fixes them',
      hint: 'Add "resize", "letterbox" or "centercrop" with [height, width] to preproc.',
    });
  }
  return layout === 'CHW' ? [channels, size[0], size[1]] : [size[0], size[1], channels];
}
