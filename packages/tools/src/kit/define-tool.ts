import { type JobResources, OPTIONAL_INPUT_MARK, type ToolExample } from '@selvedge/contract';
import type { Logger } from '@selvedge/runtime';
import type * as z from 'zod';
import type { GpuRequest } from './job/gpus.ts';

/** What an input holds, in words; `optional` when the tool can do without it. */
export type InputDeclaration = string | { readonly description: string; readonly optional: true };

/** Folder of each fetched input; undefined only for an optional one that was not given. */
type InputFolders<I extends Record<string, InputDeclaration>> = {
  readonly [K in keyof I]: I[K] extends string ? string : string | undefined;
};

/** Where bytes come from: an http(s) URL, and their sha256 where it is known. */
export interface FetchSource {
  readonly url: string;
  readonly sha256?: string | undefined;
}

/** What the kit gives to a tool while it makes one artifact. */
export interface ToolContext<P = unknown, I = Readonly<Record<string, string | undefined>>> {
  readonly parameters: P;
  /** Absolute path of a folder per input: the unpacked zip, or the one file under its own name. Gone when the artifact is finished. */
  readonly inputs: I;
  /** Absolute path of the empty folder whose files become the artifact. */
  readonly dataDir: string;
  /** Absolute path of a folder for what this attempt alone needs. */
  readonly workDir: string;
  /** Absolute path of a folder that survives a restart in the middle of the work (for checkpoints); removed when it is finished. */
  readonly checkpointDir: string;
  /** Absolute path of a folder that all artifacts of this tool share, for what can be made anew; it may be emptied while the tool is not running. */
  readonly cacheDir: string;
  /** 1 for the first try; more after a restart. */
  readonly attempt: number;
  /** Aborts on cancel and on shutdown: end soon by throwing `signal.reason` (`signal.throwIfAborted()`). */
  readonly signal: AbortSignal;
  /** Adds a line (or several) to the artifact's log. */
  log(text: string): void;
  /** @param fraction - 0..1. */
  progress(fraction: number, message?: string): void;
  /**
   * Adds one point to a metric's curve. A step that is already there replaces it and what follows it, so that work
   * resumed from a checkpoint does not show its last steps twice.
   *
   * @param name - lower-case letters, digits, "-", "_", parts joined by "/": `train/loss`.
   */
  metric(name: string, step: number, value: number): void;
  /** Fetches further bytes below the same rules as the inputs; returns their folder. */
  fetch(name: string, source: FetchSource): Promise<string>;
  /**
   * What the work has used so far; undefined when it is not done in a process of its own. When it resolves, the log, progress and
   * metrics of before are recorded: to be awaited before a checkpoint is saved that goes on behind them.
   */
  usage(): Promise<JobResources | undefined>;
}

/** What the kit gives to the work that a tool does beside its artifacts, for as long as it runs. */
export interface BackgroundContext {
  /** The folder that `create` knows under the same name. */
  readonly cacheDir: string;
  /** Origins that take the tools' token: the server's gateway is the first. Empty when the tool runs alone. */
  readonly origins: readonly string[];
  readonly token: string;
  readonly logger: Logger;
  /** Aborts when the tool stops: return soon. */
  readonly signal: AbortSignal;
}

/** What a job may use: as asked in the parameters, and what comes of that on this machine. */
export type JobPlan = Pick<JobResources, 'asked' | 'granted'> & {
  /** GPUs to lease before the work begins, as `findGpus` gives them; they are then in `granted`. */
  readonly gpuRequest?: GpuRequest | undefined;
};

export interface ToolDefinition<P extends z.ZodType, I extends Record<string, InputDeclaration>> {
  readonly name: string;
  readonly description: string;
  /** Of a project's tool; those of the product have the product's. */
  readonly version?: string;
  /** Group in the pipeline's list of containers. */
  readonly class: 'data' | 'models';
  /** Type of artifact. */
  readonly makes: string;
  /** Schema of the parameters; also published as JSON Schema. */
  readonly parameters: P;
  readonly inputs: I;
  /**
   * Makes one artifact: reads `inputs`, writes files below `dataDir`. Throwing makes the artifact fail; an AppError's
   * code, message and hint reach the user, anything else is reported as a bug with its stack in the log.
   */
  create(ctx: ToolContext<z.output<P>, InputFolders<I>>): Promise<void>;
  /**
   * When it is there, each artifact is made in a process of its own, within what this grants.
   *
   * @throws AppError RESOURCES_UNAVAILABLE (user) when the machine has not what is asked for.
   */
  readonly job?: (parameters: z.output<P>) => Promise<JobPlan>;
  /** Runs from the start of the tool to its end, beside the queue. What it throws is logged and ends it. */
  readonly background?: (ctx: BackgroundContext) => Promise<void>;
  /** Something small that can be made, which the description shows; made when it is asked for first. */
  readonly example?: () => Promise<ToolExample>;
}

/** A tool as the kit runs it, whatever its parameters. */
export interface Tool {
  readonly name: string;
  readonly description: string;
  readonly version?: string;
  readonly class: 'data' | 'models';
  readonly makes: string;
  readonly parameters: z.ZodType;
  readonly inputs: Readonly<Record<string, InputDeclaration>>;
  /** @param ctx - parameters as given; they are parsed here. */
  create(ctx: ToolContext): Promise<void>;
  /** @param parameters - as given; they are parsed here. */
  readonly job?: (parameters: unknown) => Promise<JobPlan>;
  readonly background?: (ctx: BackgroundContext) => Promise<void>;
  readonly example?: () => Promise<ToolExample>;
}

/** Declares a tool. Everything else (HTTP, queue, fetching, log, metrics, restart) is the kit's. */
export function defineTool<P extends z.ZodType, const I extends Record<string, InputDeclaration>>(definition: ToolDefinition<P, I>): Tool {
  const { job } = definition;
  return {
    name: definition.name,
    description: definition.description,
    class: definition.class,
    makes: definition.makes,
    parameters: definition.parameters,
    inputs: definition.inputs,
    ...(definition.version === undefined ? {} : { version: definition.version }),
    ...(definition.background === undefined ? {} : { background: definition.background }),
    ...(definition.example === undefined ? {} : { example: definition.example }),
    ...(job === undefined ? {} : { job: async (parameters: unknown) => job(definition.parameters.parse(parameters)) }),
    create: (ctx) =>
      definition.create({
        ...ctx,
        parameters: definition.parameters.parse(ctx.parameters),
        // The kit refuses a request without a required input, so each declared one has a folder here.
        inputs: ctx.inputs as InputFolders<I>,
      }),
  };
}

export function isOptional(input: InputDeclaration): boolean {
  return typeof input !== 'string';
}

export function describeInput(input: InputDeclaration): string {
  return typeof input === 'string' ? input : `${OPTIONAL_INPUT_MARK} ${input.description}`;
}
