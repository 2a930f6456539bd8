import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { benchmarkReportSchema, goldenSampleSchema, postprocSchema } from '@selvedge/contract';
import * as z from 'zod';
import { defineTool } from '../kit/index.ts';
import { openSplit, readTensorSetInfo } from '../tensor-set/tensor-set-reader.ts';

const CRITERIA = ['accuracy', 'f1', 'precision', 'recall', 'loss'] as const;

const parametersSchema = z.strictObject({
  /** Checked against what the model gives. */
  postproc: postprocSchema.optional(),
  /** Metrics that are shown as curves; the report always holds all. Default accuracy, f1, loss. */
  criteria: z.array(z.enum(CRITERIA)).min(1).default(['accuracy', 'f1', 'loss']),
  batchSize: z.int().min(1).max(4096).default(64),
});

/** Measures a model on the test split and records a sample that a device can check itself with. */
export const benchmarkTool = defineTool({
  name: 'benchmark',
  description: 'Measures a model on the test data: accuracy, F1, confusion, latency',
  class: 'models',
  makes: 'benchmark',
  parameters: parametersSchema,
  inputs: { model: 'a model made by the train tool', 'training-set': 'tensors with the split test, made by the split tool' },
  async create({ parameters, inputs, dataDir, signal, log, progress, metric }) {
    const { postproc, batchSize, criteria } = parameters;
    const folder = inputs['training-set'];
    const info = await readTensorSetInfo(folder);
    const test = await openSplit(folder, info, 'test');
    try {
      // Loaded here, so that an idle tool does not hold ONNX Runtime.
      const { benchmarkModel } = await import('./benchmark-model.ts');
      const modelPath = join(inputs.model, 'model.onnx');
      const { report, golden } = await benchmarkModel({ modelPath, info, test, postproc, batchSize, signal, progress });
      for (const name of criteria) metric(`test/${name}`, 1, report.metrics[name] ?? 0);
      await writeFile(join(dataDir, 'report.json'), `${JSON.stringify(benchmarkReportSchema.parse(report), null, 2)}\n`);
      await writeFile(join(dataDir, 'golden.json'), `${JSON.stringify(goldenSampleSchema.parse(golden))}\n`);
      const shown = Object.entries(report.metrics).map(([name, value]) => `${name} ${value.toFixed(4)}`);
      log(`${report.samples} samples: ${shown.join(', ')}; one image ${report.latencyMs.p50.toFixed(2)} ms (p50)`);
    } finally {
      await test.close();
    }
  },
});
