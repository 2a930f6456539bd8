import * as z from 'zod';
import { MAX_SELECTOR_LENGTH } from '../label-selector.ts';
import { documentOf, resourceOf } from './envelope.ts';

const deviceGroupSpecSchema = z.strictObject({
  /** Which devices belong to it, by their labels, as they are at any time. */
  selector: z.string().max(MAX_SELECTOR_LENGTH),
  description: z.string().max(16_384).optional(),
});

/** Devices by a saved label query; `@name` in a selector stands for it. */
export const deviceGroupDocumentSchema = documentOf('DeviceGroup', deviceGroupSpecSchema);
export const deviceGroupSchema = resourceOf('DeviceGroup', deviceGroupSpecSchema, z.object({}));
export type DeviceGroup = z.infer<typeof deviceGroupSchema>;
