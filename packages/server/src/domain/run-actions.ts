import type { ArtifactStatus, Failure, PackageStatus, RunStep } from '@selvedge/contract';
import type { WantedChild } from './sweep-plan.ts';

/** What would be asked of a tool, and where the same has been made already. */
export interface PreparedRequest {
  readonly parameters: Record<string, unknown>;
  readonly toolVersion: string;
  readonly codeDigest: string;
  /** Digest over all that decides what the step makes. */
  readonly key: string;
  readonly cached?: { readonly artifact: string; readonly from: string; readonly results: StepResults };
}

/** What later steps may refer to. */
export interface StepResults {
  readonly outputs?: Record<string, unknown>;
  readonly metrics?: Record<string, number>;
}

/** What was last seen of a step's artifact. */
export type Observation =
  /** The tool does not run now; `reason` is for people. */
  | { kind: 'unreachable'; reason: string }
  /** The tool runs and has no such artifact. */
  | { kind: 'absent'; prepared?: PreparedRequest }
  /** There is none, and it cannot be asked for: a reference has no value. */
  | { kind: 'impossible'; failure: Failure }
  | { kind: 'present'; status: ArtifactStatus; results?: StepResults };

/** By step; a step that was not looked at is taken to be as the run says. */
export type Observations = Partial<Record<string, Observation>>;

export type ShownStep = Partial<Omit<RunStep, 'name' | 'artifact'>>;

/** One thing to do. `show` changes only what is known of a step; the others act. */
export type RunAction =
  | { type: 'show'; step: string; change: ShownStep }
  | { type: 'request'; step: string }
  /** Takes an earlier run's artifact as the step's own. */
  | { type: 'reuse'; step: string; artifact: string; from: string; change: ShownStep }
  | { type: 'cancel'; step: string }
  /** Ends the tool's process: it was asked to end the work and has not. */
  | { type: 'kill'; step: string }
  | { type: 'register'; step: string }
  /** Makes sure that the packages are there. */
  | { type: 'build'; step: string }
  /** Removes the packages that are not finished. */
  | { type: 'dropBuilds'; step: string }
  | { type: 'startChildren'; step: string; children: readonly WantedChild[] }
  | { type: 'cancelChildren'; step: string }
  | { type: 'finish'; phase: 'Succeeded' | 'Cancelled'; message: string }
  | { type: 'finish'; phase: 'Failed'; message: string; error: Failure };

/** A package that the step `build` waits for; `status` is undefined until it is there. */
export interface WantedPackage {
  name: string;
  status: Pick<PackageStatus, 'phase' | 'progress' | 'message' | 'error'> | undefined;
}
