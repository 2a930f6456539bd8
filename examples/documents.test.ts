import { readFile } from 'node:fs/promises';
import { inferenceModelDocumentSchema, pipelineSpecSchema, taskDocumentSchema } from '@selvedge/contract';
import { parseDocuments } from '@selvedge/runtime/documents';
import { describe, expect, it } from 'vitest';

async function read(example: string, name: string): Promise<unknown> {
  const documents = parseDocuments(await readFile(new URL(`${example}/${name}`, import.meta.url), 'utf8'), name);
  expect(documents).toHaveLength(1);
  return documents[0]?.value;
}

describe('the documents of an example', () => {
  it.each(['digits', 'orchard', 'reid', 'tabular'])('%s: are valid and name each other', async (example) => {
    const pipeline = pipelineSpecSchema.parse(await read(example, 'pipeline.json'));
    const task = taskDocumentSchema.parse(await read(example, 'task.yaml'));
    const inferenceModel = inferenceModelDocumentSchema.parse(await read(example, 'inference-model.yaml'));
    expect(pipeline.task).toBe(task.metadata.name);
    expect(inferenceModel.spec.modelName).toBe(pipeline.model.name);
  });

  it('digits in Python: has a training whose files are there', async () => {
    const pipeline = (await read('digits', 'python/pipeline.json')) as { train: { script: string; files: string[] } };
    const text = (path: string) => readFile(new URL(`digits/python/${path}`, import.meta.url), 'utf8');
    const embedded = async (path: string) => ({ path, text: await text(path) });
    const { script, files } = pipeline.train;
    const train = { ...pipeline.train, script: await embedded(script), files: await Promise.all(files.map(embedded)) };
    expect(pipelineSpecSchema.parse({ ...pipeline, train }).train?.engine).toBe('python');
  });
});
