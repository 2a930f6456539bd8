import { readFile } from 'node:fs/promises';
import { inferenceModelDocumentSchema, pipelineSpecSchema, taskDocumentSchema } from '@selvedge/contract';
import { parseDocuments } from '@selvedge/runtime/documents';
import { describe, expect, it } from 'vitest';

async function read(name: string): Promise<unknown> {
  const documents = parseDocuments(await readFile(new URL(name, import.meta.url), 'utf8'), name);
  expect(documents).toHaveLength(1);
  return documents[0]?.value;
}

describe('the documents of the digits example', () => {
  it('have a training in Python whose files are there', async () => {
    const pipeline = (await read('python/pipeline.json')) as { train: { script: string; files: string[] } };
    const text = (path: string) => readFile(new URL(`python/${path}`, import.meta.url), 'utf8');
    const embedded = async (path: string) => ({ path, text: await text(path) });
    const { script, files } = pipeline.train;
    const train = { ...pipeline.train, script: await embedded(script), files: await Promise.all(files.map(embedded)) };
    expect(pipelineSpecSchema.parse({ ...pipeline, train }).train?.engine).toBe('python');
  });

  it('are valid and name each other', async () => {
    const pipeline = pipelineSpecSchema.parse(await read('pipeline.json'));
    const task = taskDocumentSchema.parse(await read('task.yaml'));
    const inferenceModel = inferenceModelDocumentSchema.parse(await read('inference-model.yaml'));
    expect(pipeline.task).toBe(task.metadata.name);
    expect(inferenceModel.spec.modelName).toBe(pipeline.model.name);
  });
});
