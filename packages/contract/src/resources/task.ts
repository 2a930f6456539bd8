import * as z from 'zod';
import { nameSchema } from '../common.ts';
import { criterionSchema } from '../gates.ts';
import { documentOf, resourceOf } from './envelope.ts';

const text = z.string().min(1).max(16_384);

/** What a model is for. The eighth field, the reverse-domain `name`, is `metadata.name`. */
export const taskSpecSchema = z.strictObject({
  description: text,
  /** Description of the output of the pipeline. */
  output: text,
  constraints: text,
  archives: z.union([text, z.array(text)]),
  /** How models are judged: text, of which lines like `accuracy >= 0.95` are checked, or criteria in fields, which may name a dataset. */
  evaluation_criterias: z.union([text, z.array(z.union([text, criterionSchema]))]),
  cost_function: text,
  evaluation_dataset: text,
});
export type TaskSpec = z.infer<typeof taskSpecSchema>;

const taskStatusSchema = z.object({ pipelines: z.array(nameSchema) });

export const taskDocumentSchema = documentOf('Task', taskSpecSchema).refine((d) => d.metadata.name.includes('.'), {
  path: ['metadata', 'name'],
  message: 'must be in reverse domain notation, like "org.example.digits"',
});
export const taskSchema = resourceOf('Task', taskSpecSchema, taskStatusSchema);
export type Task = z.infer<typeof taskSchema>;
