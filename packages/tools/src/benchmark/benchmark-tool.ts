import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  AppError,
  BENCHMARK_KINDS,
  benchmarkReportSchema,
  goldenSampleSchema,
  postprocSchema,
  preprocSchema,
  wantedMetricSchema,
} from '@selvedge/contract';
import * as z from 'zod';
import { defineTool } from '../kit/index.ts';
import { openSplit, readTensorSetInfo } from '../tensor-set/tensor-set-reader.ts';
import { curveName } from './curve-name.ts';
import { writeReports } from './write-reports.ts';

const parametersSchema = z.strictObject({
  /** What turns the output into an answer: detections are measured through its `nms`. */
  postproc: postprocSchema.optional(),
  /** With it the pictures of the report look as they did before it. */
  preproc: preprocSchema.optional(),
  /** What the model does; default: what the data and its output say. */
  kind: z.enum(BENCHMARK_KINDS).optional(),
  /** Metrics that are also points of the run, of those in the report; default all. */
  criteria: z.array(z.string().min(1).max(64)).min(1).optional(),
  /** Criteria of the task, to be told in the report. */
  wanted: z.array(wantedMetricSchema).max(1000).optional(),
  /** Heading of the report. */
  title: z.string().min(1).max(256).default('Benchmark'),
  batchSize: z.int().min(1).max(4096).default(64),
});

function metricOf(metrics: Readonly<Record<string, number>>, name: string): number {
  const value = metrics[name];
  if (value !== undefined) return value;
  throw new AppError('INPUT_INVALID', { message: `The benchmark has no metric "${name}"; it has ${Object.keys(metrics).join(', ')}.` });
}

/** Measures a model on the test split and records a sample that a device can check itself with. */
export const benchmarkTool = defineTool({
  name: 'benchmark',
  description: 'Measures a model on the test data: scores per class, worst mistakes, latency; as JSON, CSV and a page',
  class: 'models',
  makes: 'benchmark',
  parameters: parametersSchema,
  inputs: { model: 'a model made by the train tool', 'training-set': 'tensors with the split test, made by the split tool' },
  async create({ parameters, inputs, dataDir, signal, log, progress, metric }) {
    const { postproc, preproc, kind, batchSize, title, wanted = [] } = parameters;
    const folder = inputs['training-set'];
    const info = await readTensorSetInfo(folder);
    const test = await openSplit(folder, info, 'test');
    try {
      // Loaded here, so that an idle tool does not hold ONNX Runtime.
      const { benchmarkModel } = await import('./benchmark-model.ts');
      const modelPath = join(inputs.model, 'model.onnx');
      const result = await benchmarkModel({ modelPath, info, test, postproc, kind, batchSize, signal, progress });
      const report = benchmarkReportSchema.parse(result.report);
      for (const name of parameters.criteria ?? Object.keys(report.metrics)) metric(curveName(name), 1, metricOf(report.metrics, name));
      await writeReports({ dataDir, title, wanted, report, scores: result.scores, info, test, preproc, signal });
      await writeFile(join(dataDir, 'golden.json'), `${JSON.stringify(goldenSampleSchema.parse(result.golden))}\n`);
      const shown = Object.entries(report.metrics).map(([name, value]) => `${name} ${value.toFixed(4)}`);
      log(`${report.samples} samples: ${shown.join(', ')}; one sample ${report.latencyMs.p50.toFixed(2)} ms (p50)`);
    } finally {
      await test.close();
    }
  },
});
