/** A small pipeline: the tests look at the machinery, not at the accuracy. */
export const SMALL_PIPELINE = {
  dataset: { name: 'digits', path: { train: 'train', test: 'test' } },
  model: { name: 'digits', hyperparams: { lr: 0.003, batch_size: 32, epochs: 4 } },
  preproc: { pipeline: ['resize', 'grayscale', 'hwctochw', 'scale'], params: { resize: [28, 28], scale: [-1, 1] } },
  postproc: { pipeline: ['softmax', 'topk'], params: { topk: { k: 3 } } },
};
