import * as z from 'zod';
import { pipelineSpecSchema } from '../pipeline-spec.ts';
import { documentOf, resourceOf } from './envelope.ts';

const pipelineStatusSchema = z.object({
  /** The newest run's id, and how it stands. */
  lastRun: z.string().nullable(),
  lastRunState: z.string().nullable(),
});

export const pipelineDocumentSchema = documentOf('Pipeline', pipelineSpecSchema);
export const pipelineSchema = resourceOf('Pipeline', pipelineSpecSchema, pipelineStatusSchema);
export type Pipeline = z.infer<typeof pipelineSchema>;
