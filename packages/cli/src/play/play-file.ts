import { API_VERSION, AppError, devicePathSchema, metadataInputSchema, nameSchema } from '@selvedge/contract';
import { locateIssues, parseDocuments } from '@selvedge/runtime/documents';
import * as z from 'zod';

const text = z.string().min(1).max(4096);
/** A path on a device; what it is after the variables have been put in is checked then. */
const devicePath = z.string().min(1).max(4096);
const mode = z
  .string()
  .regex(/^0?[0-7]{3}$/, 'must be three octal digits in quotes, like "644"')
  .optional();

function isExpression(source: string): boolean {
  try {
    return new RegExp(source) instanceof RegExp;
  } catch {
    return false;
  }
}

const actions = {
  /** A file or a folder beside the play, copied as it is. */
  copy: z.strictObject({ src: text, dst: devicePath, mode }).optional(),
  /** A text beside the play, with variables put in for each device. */
  template: z.strictObject({ src: text, dst: devicePath, mode }).optional(),
  exec: z
    .strictObject({
      argv: z.array(z.string().max(4096)).min(1).max(256),
      /** Nothing is run where this path is there. */
      creates: devicePath.optional(),
      /** Nothing is run where this command succeeds. */
      unless: z.array(z.string().max(4096)).min(1).max(256).optional(),
      /** Whether it has changed anything: always (default), never, or when its output matches this regular expression. */
      changedWhen: z.union([z.boolean(), z.string().min(1).max(1000).refine(isExpression, 'is not a regular expression')]).optional(),
      timeoutS: z.int().min(1).max(86_400).default(60),
    })
    .optional(),
  /** A workload that does not serve is restarted. */
  ensureRunning: z.strictObject({ workload: nameSchema }).optional(),
  /** A file or a folder of the device, to DST/DEVICE/NAME beside the play. */
  fetch: z.strictObject({ src: devicePath, dst: text }).optional(),
};

const ACTIONS = ['copy', 'template', 'exec', 'ensureRunning', 'fetch'] as const;

const playTaskSchema = z
  .strictObject({ name: z.string().min(1).max(200), ...actions })
  .refine((task) => ACTIONS.filter((action) => task[action] !== undefined).length === 1, `give one of ${ACTIONS.join(', ')}`);
export type PlayTask = z.output<typeof playTaskSchema>;

const scalar = z.union([z.string(), z.number(), z.boolean()]);

const playSchema = z.strictObject({
  apiVersion: z.literal(API_VERSION),
  kind: z.literal('Play'),
  metadata: metadataInputSchema.partial().optional(),
  spec: z.strictObject({
    /** A device's name, or labels as `device list -l` takes them. */
    devices: z.string().min(1).max(2048),
    parallel: z.int().min(1).max(10_000).default(8),
    vars: z.record(z.string().regex(/^[A-Za-z_][\w-]*$/), scalar).default({}),
    tasks: z.array(playTaskSchema).min(1).max(1000),
  }),
});
export type Play = z.output<typeof playSchema>;

/** @throws AppError DOCUMENT_SYNTAX, INPUT_INVALID (user) with file, line and column of each fault. */
export function parsePlay(content: string, file: string): Play {
  const [document, ...more] = parseDocuments(content, file);
  if (document === undefined || more.length > 0)
    throw new AppError('INPUT_INVALID', {
      message: `${file} must hold one document of kind Play; it holds ${more.length + (document === undefined ? 0 : 1)}.`,
    });
  const parsed = playSchema.safeParse(document.value);
  if (parsed.success) return parsed.data;
  throw new AppError('INPUT_INVALID', { message: `${file} is not a play.`, issues: locateIssues(document, file, parsed.error) });
}

/** @throws AppError INPUT_INVALID (user) when it is not absolute once its variables are put in. */
export function checkedDevicePath(path: string): string {
  const parsed = devicePathSchema.safeParse(path);
  if (parsed.success) return parsed.data;
  throw new AppError('INPUT_INVALID', { message: `${JSON.stringify(path)} is not an absolute path on a device.` });
}
