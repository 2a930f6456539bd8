import * as z from 'zod';

/** A place on Earth, WGS 84. */
export const deviceLocationSchema = z.strictObject({
  /** Degrees, north positive. */
  latitude: z.number().min(-90).max(90),
  /** Degrees, east positive. */
  longitude: z.number().min(-180).max(180),
  /** Metres above the sea. */
  altitude: z.number().min(-12_000).max(1_000_000).optional(),
  /** In words, e.g. "hall 3, gate B". */
  place: z.string().max(256).optional(),
});
export type DeviceLocation = z.infer<typeof deviceLocationSchema>;
