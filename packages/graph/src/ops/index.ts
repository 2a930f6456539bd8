export { clipBoxes, type LabelledBox, MIN_VISIBLE_SHARE, preprocessBoxes } from './boxes.ts';
export { type Box, type BoxTable, boxTable, type Detection, MAX_BOXES, type NmsParams, nms } from './nms.ts';
export { imageToTensor, type PixelTensor, type RawImage, type TensorLayout } from './pixel-tensor.ts';
export { applyPostproc, type ModelOutput, type PostprocResult } from './postproc.ts';
export { applyPreproc, type PictureShape, type PreprocTarget, preprocessImage, preprocOutputShape, splitPreproc } from './preproc.ts';
export { type ClassScore, sigmoid, softmax, topk } from './scores.ts';
export { centercrop, grayscale, LETTERBOX_FILL, letterbox, resize, type Size } from './spatial.ts';
export { hwctochw, type NormalizeParams, normalize, scale } from './values.ts';
