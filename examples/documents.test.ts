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
});
