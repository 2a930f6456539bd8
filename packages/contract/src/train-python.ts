import * as z from 'zod';
import { packagePathSchema } from './common.ts';

/** Characters of script and files together: a request to a tool takes 1 MiB. */
export const MAX_SCRIPT_CHARACTERS = 256 * 1024;

/** A file of a training in Python; the CLI puts it in place of a path beside the pipeline file. */
const scriptFileSchema = z.strictObject({
  path: packagePathSchema.refine((path) => path !== 'model.onnx', 'is what the script leaves; name it otherwise'),
  text: z
    .string()
    .max(MAX_SCRIPT_CHARACTERS)
    .refine((text) => !text.includes('${{'), 'holds "${{", which begins a reference of pipelines; write it in two parts'),
});
export type ScriptFile = z.infer<typeof scriptFileSchema>;

const requirementSchema = z
  .string()
  .min(1)
  .max(512)
  .regex(/^[^\r\n\0]+$/, 'must be one line, as in a requirements.txt');

/** What the block `train` has for the engine `python` alone. */
export const pythonTrainingShape = {
  /** The script that trains; it leaves `model.onnx` in its working folder. */
  script: scriptFileSchema.optional(),
  /** Further files beside it, for it to import or read. */
  files: z.array(scriptFileSchema).max(50).optional(),
  /** Handed to the script as JSON, besides the hyperparameters. */
  args: z.record(z.string().min(1).max(256), z.unknown()).optional(),
  /** Lines of a requirements.txt; installed into a virtual environment that is kept for the same list and Python. Default: what Python of the machine has. */
  requirements: z.array(requirementSchema).min(1).max(200).optional(),
  /** A program in PATH (`python3.11`) or an absolute path; default the server's SELVEDGE_PYTHON, else `python3`. Python 3.9 or newer. */
  interpreter: z
    .string()
    .max(512)
    .regex(/^(\/[^\0\r\n]+|[A-Za-z0-9_][A-Za-z0-9_.+-]*)$/, 'must be a program in PATH, like "python3.11", or an absolute path')
    .optional(),
  /** Seconds after which the script is ended as failed; default: no limit. */
  timeout_s: z.number().positive().max(2_592_000).optional(),
  /** What the model is for; default `detection` where samples have boxes, else `classification`. */
  learns: z.enum(['classification', 'detection', 'identity']).optional(),
};

const PYTHON_FIELDS = Object.keys(pythonTrainingShape);
/** What the engine `python` has of the rest of the block. */
const SHARED_FIELDS = ['engine', 'from', 'resources'];

/** What of a block does not go with its engine. */
export function engineIssues(train: Readonly<Record<string, unknown>>): { path: string[]; message: string }[] {
  const given = Object.keys(train).filter((name) => train[name] !== undefined);
  if (train.engine !== 'python') {
    return given
      .filter((name) => PYTHON_FIELDS.includes(name))
      .map((name) => ({ path: [name], message: 'goes with the engine "python"; add engine: "python", or remove it' }));
  }
  const issues = given
    .filter((name) => !PYTHON_FIELDS.includes(name) && !SHARED_FIELDS.includes(name))
    .map((name) => ({ path: [name], message: 'is of the engine "onnx"; with "python" the script decides it, and may read it from args' }));
  if (train.script === undefined) issues.unshift({ path: ['script'], message: 'is missing: the path of the script that trains' });
  return issues;
}

/** Paths that are there twice, and texts that are too much together. */
export function scriptIssues(script: ScriptFile | undefined, files: readonly ScriptFile[] = []): { path: string[]; message: string }[] {
  const all = script === undefined ? files : [script, ...files];
  const paths = all.map(({ path }) => path);
  const twice = paths.find((path, at) => paths.indexOf(path) !== at);
  const issues: { path: string[]; message: string }[] = [];
  if (twice !== undefined) issues.push({ path: ['files'], message: `there are two files "${twice}"` });
  if (all.reduce((sum, { text }) => sum + text.length, 0) > MAX_SCRIPT_CHARACTERS)
    issues.push({
      path: ['files'],
      message: 'are, with the script, more than 256 Ki characters; install what is larger with requirements',
    });
  return issues;
}
