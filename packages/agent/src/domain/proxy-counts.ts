import * as z from 'zod';
import { trafficSchema } from './histogram.ts';

/** What a trial proxy has counted since it was started; `read('/trial')` of it. */
export const proxyCountsSchema = z.object({
  previous: trafficSchema,
  candidate: trafficSchema,
  /** Inputs that both versions answered, and on how many they agreed; with mode `shadow`. */
  compared: z.number().min(0),
  same: z.number().min(0),
  /** Copies that were not made, as the version on trial was behind. */
  skipped: z.number().min(0),
});
export type ProxyCounts = z.infer<typeof proxyCountsSchema>;
