import * as z from 'zod';
import { nameSchema, packagePathSchema, sha256Schema } from './common.ts';
import { parseCondition, parseTemplate, type Reference, referencesOf, textsIn } from './pipeline-expressions.ts';

/** Name of a step; also the last part of its artifact's name. */
export const stepIdSchema = z
  .string()
  .max(40)
  .regex(/^[a-z]([-a-z0-9]*[a-z0-9])?$/, 'must be lower-case letters, digits and "-", and begin with a letter');

/** A version of a model in the registry: `NAME:V`. Aliases are not: what they mean changes. */
export const modelReferenceSchema = z
  .string()
  .max(300)
  .regex(/^[a-z0-9]([a-z0-9.-]*[a-z0-9])?:[1-9]\d{0,8}$/, 'must be a version of a model, like "digits:3"');

/** Where an input comes from: a step's artifact, one file of it, the pipeline's dataset, a URL, or a version's ONNX file. */
export const stepInputSchema = z.union([
  /** A step's id, or `dataset`. */
  stepIdSchema,
  z.strictObject({ step: stepIdSchema, file: packagePathSchema.optional() }),
  z.strictObject({ url: z.url({ protocol: /^https?$/ }).max(4096), sha256: sha256Schema.optional() }),
  z.strictObject({ model: modelReferenceSchema }),
]);
export type StepInput = z.infer<typeof stepInputSchema>;

/** What the dataset is called among the inputs of steps. */
export const DATASET_INPUT = 'dataset';
/** Ids of what the server puts into a run by itself. */
const RESERVED_IDS: readonly string[] = [DATASET_INPUT, 'sweep', 'build'];

const stepSpecSchema = z.strictObject({
  id: stepIdSchema,
  /** A tool that the server runs, or `register`, which adds a version to the registry from its inputs `model` and `benchmark`. */
  tool: nameSchema,
  /** Steps that must be completed first, besides those that inputs and references name. */
  needs: z.array(stepIdSchema).max(100).optional(),
  /** The tool's parameters; texts in them may hold `${{ reference }}`. A text that is one reference takes the value's type. */
  parameters: z.record(z.string().max(256), z.unknown()).optional(),
  /** By the names that the tool declares. */
  inputs: z.record(nameSchema, stepInputSchema).optional(),
  /** How often a step that failed is tried again, 0..10; default 0. */
  retries: z.int().min(0).max(10).optional(),
  /** Seconds before the first retry, doubled with each further one up to 300; default 5. */
  backoffS: z.number().min(0).max(3600).optional(),
  /** Seconds that one try may work (not counting its time in the queue), then it is ended as failed; default: no limit. */
  timeoutS: z.number().positive().max(2_592_000).optional(),
  /** A comparison; the step, and those that need it, are skipped when it does not hold. */
  when: z.string().min(1).max(1024).optional(),
  /** False: made anew in each run. Default true: taken from an earlier run when tool, code, parameters and inputs are the same. */
  cache: z.boolean().optional(),
});
export type StepSpec = z.infer<typeof stepSpecSchema>;

/** The step of each input that has one. */
export function inputStepsOf({ inputs = {} }: Pick<StepSpec, 'inputs'>): string[] {
  return Object.values(inputs).flatMap((input) => (typeof input === 'string' ? [input] : 'step' in input ? [input.step] : []));
}

/** References in a step's parameters and condition; faulty ones are left out (the schema refuses them). */
export function stepReferences({ parameters = {}, when }: Pick<StepSpec, 'parameters' | 'when'>): Reference[] {
  const inParameters = textsIn(parameters).flatMap(({ text }) => {
    const template = parseTemplate(text);
    return template.ok ? template.value.filter((part) => typeof part !== 'string') : [];
  });
  const condition = when === undefined ? undefined : parseCondition(when);
  return [...inParameters, ...(condition?.ok === true ? referencesOf(condition.value) : [])];
}

/** Every step that this one waits for. */
export function needsOf(step: StepSpec): string[] {
  const referred = stepReferences(step).flatMap((reference) => ('step' in reference ? [reference.step] : []));
  return [...new Set([...(step.needs ?? []), ...inputStepsOf(step), ...referred])];
}

type Path = (string | number)[];
type Fault = (path: Path, message: string) => void;

function checkExpressions(step: StepSpec, at: number, fault: Fault): void {
  for (const { text, path } of textsIn(step.parameters)) {
    const template = parseTemplate(text);
    if (!template.ok) fault([at, 'parameters', ...path], template.message);
  }
  const condition = step.when === undefined ? undefined : parseCondition(step.when);
  if (condition?.ok === false) fault([at, 'when'], condition.message);
}

function checkRegister(step: StepSpec, at: number, fault: Fault): void {
  for (const [name, input] of Object.entries(step.inputs ?? {}))
    if (typeof input !== 'string') fault([at, 'inputs', name], 'must be the id of a step');
  for (const name of ['model', 'benchmark'])
    if (step.inputs?.[name] === undefined) fault([at, 'inputs'], `"register" needs the input "${name}": the id of a step`);
  if (step.parameters !== undefined) fault([at, 'parameters'], '"register" takes no parameters');
}

/** A cycle as a list of ids that ends where it begins; undefined when there is none. */
function findCycle(steps: readonly StepSpec[]): string[] | undefined {
  const byId = new Map(steps.map((step) => [step.id, step]));
  const done = new Set<string>();
  const visit = (id: string, trail: readonly string[]): string[] | undefined => {
    if (trail.includes(id)) return [...trail.slice(trail.indexOf(id)), id];
    const step = byId.get(id);
    if (step === undefined || done.has(id)) return undefined;
    for (const need of needsOf(step)) {
      const cycle = visit(need, [...trail, id]);
      if (cycle !== undefined) return cycle;
    }
    done.add(id);
    return undefined;
  };
  for (const { id } of steps) {
    const cycle = visit(id, []);
    if (cycle !== undefined) return cycle;
  }
  return undefined;
}

function checkSteps(steps: readonly StepSpec[], fault: Fault): void {
  const ids = steps.map((step) => step.id);
  for (const [at, step] of steps.entries()) {
    if (ids.indexOf(step.id) !== at) fault([at, 'id'], `there are two steps "${step.id}"`);
    if (RESERVED_IDS.includes(step.id)) fault([at, 'id'], `"${step.id}" is a name of the server's own`);
    if (step.tool === 'build') fault([at, 'tool'], 'native packages are asked for by the block "build", not by a step');
    if (step.tool === 'register') checkRegister(step, at, fault);
    checkExpressions(step, at, fault);
    for (const need of needsOf(step)) {
      const isInput = need === DATASET_INPUT && inputStepsOf(step).includes(need);
      if (!ids.includes(need) && !isInput) fault([at], `needs the step "${need}", which does not exist`);
    }
  }
  if (steps.filter((step) => step.tool === 'register').length > 1) fault([], 'there is more than one "register" step');
  const cycle = findCycle(steps);
  if (cycle !== undefined) fault([ids.indexOf(cycle[0] ?? '')], `the steps need each other in a circle: ${cycle.join(' → ')}`);
}

/** `steps:` of a pipeline: what is done instead of import → process → export → split → train → benchmark → register. */
export const stepsSchema = z
  .array(stepSpecSchema)
  .min(1)
  .max(100)
  .superRefine((steps, ctx) => checkSteps(steps, (path, message) => ctx.addIssue({ code: 'custom', path, message })));
