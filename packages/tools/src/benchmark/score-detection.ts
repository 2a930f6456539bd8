import { AppError, type ClassReport, type PostprocSpec } from '@selvedge/contract';
import { type DetectedBox, intersectionOverUnion, meanAveragePrecision, type TruthBox } from '@selvedge/graph/metrics';
import { applyPostproc, type Detection } from '@selvedge/graph/ops';
import { type DrawnBox, MAX_MISTAKES, type Mistake, type ScoreOptions, type Scores, WorstOf } from './scores.ts';

/** Average precision needs the unsure boxes too: they are what its recall comes from. As in COCO and Ultralytics. */
const LOWEST_CONFIDENCE = 0.001;
/** From this overlap on a box is of an object. */
const HIT_IOU = 0.5;
const BOX_COLUMNS = 5;

/** Matches of one sample's boxes as the pipeline shows them. */
interface Matched {
  readonly found: readonly { detection: Detection; truth: TruthBox | undefined }[];
  readonly missed: readonly TruthBox[];
}

interface Counts {
  hits: number;
  shown: number;
  truths: number;
}

/**
 * @param boxes - per sample, [class, x1, y1, x2, y2] for each object.
 * @throws AppError PREPROC_INVALID when the pipeline has no `nms`; SHAPE_MISMATCH when the output is not of boxes.
 */
export async function scoreDetection(options: ScoreOptions, boxes: readonly Float32Array[]): Promise<Scores> {
  const { runner, labels, postproc, ...batches } = options;
  const shownFrom = postproc?.params?.nms?.conf_thr;
  if (postproc === undefined || shownFrom === undefined) {
    throw new AppError('PREPROC_INVALID', {
      message: 'A detector cannot be measured without "nms" in the post-processing.',
      hint: 'Add "nms" with IoU_thr and conf_thr to postproc of the pipeline.',
    });
  }
  const unsure = withConfidence(postproc, Math.min(LOWEST_CONFIDENCE, shownFrom));
  const detections: DetectedBox[] = [];
  const truths = boxes.flatMap((rows, image) => truthsOf(rows, image));
  const counts = labels.map((): Counts => ({ hits: 0, shown: 0, truths: 0 }));
  const worst = new WorstOf<Mistake>(MAX_MISTAKES);
  await runner.forEach(batches, (image, values, shape) => {
    const result = applyPostproc([{ shape: [1, ...shape], data: values }], unsure, labels);
    const found = 'boxes' in result ? result.boxes : [];
    for (const { index, box, score } of found) detections.push({ image, index, box, score });
    const shown = found.filter(({ score }) => score >= Math.fround(shownFrom));
    const matched = matchBoxes(shown, truthsOf(boxes[image] ?? new Float32Array(), image));
    count(matched, counts);
    const badness = badnessOf(matched);
    if (badness > 0) worst.offer(badness, () => mistakeOf(image, matched, labels));
  });
  const average = meanAveragePrecision(detections, truths);
  const perClass = labels.map((label, i): ClassReport => {
    const precise = average.perClass.find(({ index }) => index === i);
    return { label, support: precise?.support ?? 0, ...ratesOf(counts[i]), ap50: precise?.ap50 ?? 0, ap: precise?.ap ?? 0 };
  });
  const present = perClass.filter((one, i) => one.support > 0 || (counts[i]?.shown ?? 0) > 0);
  const mean = (key: 'precision' | 'recall' | 'f1') =>
    present.length === 0 ? 0 : present.reduce((sum, one) => sum + (one[key] ?? 0), 0) / present.length;
  return {
    kind: 'detection',
    metrics: { 'mAP@50': average.map50, 'mAP@50:95': average.map, f1: mean('f1'), precision: mean('precision'), recall: mean('recall') },
    perClass,
    confusion: [],
    mistakes: worst.values,
    notes: [
      `mAP as COCO computes it (101 points of recall), of the boxes that the pipeline's nms leaves, from a confidence of ${unsure.params?.nms?.conf_thr} on.`,
      `f1, precision and recall: of the boxes that the pipeline shows (confidence of at least ${shownFrom}), at IoU ${HIT_IOU}; means over the classes.`,
    ],
  };
}

function withConfidence(spec: PostprocSpec, confidence: number): PostprocSpec {
  const { nms, ...others } = spec.params ?? {};
  return nms === undefined ? spec : { ...spec, params: { ...others, nms: { ...nms, conf_thr: confidence } } };
}

function truthsOf(rows: Float32Array, image: number): TruthBox[] {
  return Array.from({ length: rows.length / BOX_COLUMNS }, (_, i) => {
    const [index = 0, x1 = 0, y1 = 0, x2 = 0, y2 = 0] = rows.subarray(i * BOX_COLUMNS, (i + 1) * BOX_COLUMNS);
    return { image, index, box: [x1, y1, x2, y2] };
  });
}

/** Each box, the surest first, takes the free object of its class that it covers best. */
function matchBoxes(shown: readonly Detection[], truths: readonly TruthBox[]): Matched {
  const free = new Set(truths);
  const found = shown.map((detection) => {
    let truth: TruthBox | undefined;
    let best = HIT_IOU;
    for (const one of free) {
      const overlap = one.index === detection.index ? intersectionOverUnion(one.box, detection.box) : -1;
      if (overlap >= best) [truth, best] = [one, overlap];
    }
    if (truth !== undefined) free.delete(truth);
    return { detection, truth };
  });
  return { found, missed: [...free] };
}

function count({ found, missed }: Matched, counts: readonly Counts[]): void {
  for (const { detection, truth } of found) {
    const of = counts[detection.index];
    if (of === undefined) continue;
    of.shown += 1;
    if (truth === undefined) continue;
    of.hits += 1;
    of.truths += 1;
  }
  for (const { index } of missed) {
    const of = counts[index];
    if (of !== undefined) of.truths += 1;
  }
}

function ratesOf({ hits, shown, truths }: Counts = { hits: 0, shown: 0, truths: 0 }) {
  const ratio = (part: number, whole: number) => (whole === 0 ? 0 : part / whole);
  return { precision: ratio(hits, shown), recall: ratio(hits, truths), f1: ratio(2 * hits, shown + truths) };
}

/** Objects that were missed, and boxes of nothing by how sure the model was of them. */
function badnessOf({ found, missed }: Matched): number {
  return missed.length + found.reduce((sum, { detection, truth }) => sum + (truth === undefined ? detection.score : 0), 0);
}

function mistakeOf(sample: number, { found, missed }: Matched, labels: readonly string[]): Mistake {
  const wrong = found.filter(({ truth }) => truth === undefined);
  const name = (index: number) => labels[index] ?? String(index);
  const boxes: DrawnBox[] = [
    ...found.map(({ detection, truth }): DrawnBox => {
      const text = `${name(detection.index)} ${detection.score.toFixed(2)}`;
      return { box: detection.box, text, state: truth === undefined ? 'wrong' : 'found' };
    }),
    ...missed.map(({ box, index }): DrawnBox => ({ box, text: name(index), state: 'missed' })),
  ];
  return {
    sample,
    actual: `${found.length - wrong.length + missed.length} object(s)`,
    predicted: `${missed.length} missed, ${wrong.length} wrong`,
    confidence: Math.max(0, ...wrong.map(({ detection }) => detection.score)),
    boxes,
  };
}
