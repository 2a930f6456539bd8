import * as z from 'zod';

/**
 * What is done to an input before the model and to its outputs after it. On its own, because devices read it in packages, and nothing else of
 * a pipeline.
 */

const edgePx = z.int().min(1).max(16_384);
/** [height, width] in pixels. */
const sizeSchema = z.tuple([edgePx, edgePx]);
const probability = z.number().min(0).max(1);
const channelValues = z.array(z.number()).min(1).max(4);

export const PREPROC_OPS = ['resize', 'letterbox', 'centercrop', 'grayscale', 'hwctochw', 'scale', 'normalize'] as const;
export const POSTPROC_OPS = ['softmax', 'sigmoid', 'topk', 'nms'] as const;
export type PreprocOp = (typeof PREPROC_OPS)[number];
export type PostprocOp = (typeof POSTPROC_OPS)[number];

export const preprocParamsSchema = z.strictObject({
  /** [height, width] in pixels; bilinear with half-pixel centres, aspect ratio not kept. */
  resize: sizeSchema.optional(),
  /** Resize with the aspect ratio kept, the rest filled with `fill` (0..255, default 114), centred. */
  letterbox: z.strictObject({ size: sizeSchema, fill: z.number().min(0).max(255).optional() }).optional(),
  /** [height, width] in pixels, cut from the middle. */
  centercrop: sizeSchema.optional(),
  /** [lo, hi]: maps 0..255 linearly to lo..hi. */
  scale: z
    .tuple([z.number(), z.number()])
    .refine(([lo, hi]) => lo < hi, 'the first number must be below the second')
    .optional(),
  /** (x - mean) / std per channel; one value or one per channel. */
  normalize: z
    .strictObject({ mean: channelValues, std: z.array(z.number().positive()).min(1).max(4) })
    .refine((p) => p.mean.length === p.std.length, 'mean and std must have the same length')
    .optional(),
});
export type PreprocParams = z.infer<typeof preprocParamsSchema>;

const PREPROC_NEEDS_PARAMS: readonly PreprocOp[] = ['resize', 'letterbox', 'centercrop', 'scale', 'normalize'];

function checkParams(
  value: { pipeline: readonly string[]; params?: object | undefined },
  needed: readonly string[],
  ctx: z.RefinementCtx,
): void {
  const params: object = value.params ?? {};
  value.pipeline.forEach((op, index) => {
    if (needed.includes(op) && !Object.hasOwn(params, op)) {
      ctx.addIssue({ code: 'custom', path: ['pipeline', index], message: `"${op}" needs its parameters in params.${op}` });
    }
    if (value.pipeline.indexOf(op) !== index) {
      ctx.addIssue({ code: 'custom', path: ['pipeline', index], message: `"${op}" is listed twice` });
    }
  });
  for (const op of Object.keys(params)) {
    if (!value.pipeline.includes(op))
      ctx.addIssue({ code: 'custom', path: ['params', op], message: `"${op}" has parameters but is not in pipeline` });
  }
}

/** Ops that work on pixels must come before the ones that change layout or value range. */
function checkPreprocOrder(pipeline: readonly PreprocOp[], ctx: z.RefinementCtx): void {
  const spatial: readonly PreprocOp[] = ['resize', 'letterbox', 'centercrop', 'grayscale'];
  const chw = pipeline.indexOf('hwctochw');
  pipeline.forEach((op, index) => {
    if (chw >= 0 && index > chw && spatial.includes(op)) {
      ctx.addIssue({ code: 'custom', path: ['pipeline', index], message: `"${op}" works on HWC pixels and must come before "hwctochw"` });
    }
  });
  const normalize = pipeline.indexOf('normalize');
  const scale = pipeline.indexOf('scale');
  if (normalize >= 0 && scale > normalize) {
    ctx.addIssue({ code: 'custom', path: ['pipeline', scale], message: '"scale" maps 0..255 and must come before "normalize"' });
  }
}

export const preprocSchema = z
  .strictObject({ pipeline: z.array(z.enum(PREPROC_OPS)), params: preprocParamsSchema.optional() })
  .superRefine((value, ctx) => {
    checkParams(value, PREPROC_NEEDS_PARAMS, ctx);
    checkPreprocOrder(value.pipeline, ctx);
  });
export type PreprocSpec = z.infer<typeof preprocSchema>;

export const postprocParamsSchema = z.strictObject({
  topk: z.strictObject({ k: z.int().min(1).max(1000) }).optional(),
  nms: z
    .strictObject({
      /** Boxes of one class that overlap a better one by more than this IoU are dropped; 0..1. */
      IoU_thr: probability,
      /** Boxes below this confidence are dropped first; 0..1. */
      conf_thr: probability,
      /** At most this many boxes per image; default 300. */
      max_boxes: z.int().min(1).max(10_000).optional(),
    })
    .optional(),
});

export const postprocSchema = z
  .strictObject({ pipeline: z.array(z.enum(POSTPROC_OPS)), params: postprocParamsSchema.optional() })
  .superRefine((value, ctx) => checkParams(value, ['topk', 'nms'], ctx));
export type PostprocSpec = z.infer<typeof postprocSchema>;
