import { OPTIONAL_INPUT_MARK } from '@selvedge/contract';
import type { Verification } from '../verification.ts';

/** One sentence about tools and how to find out whether it is true of one. */
export interface Check {
  readonly title: string;
  /** @throws Mismatch when it is not; NotApplicable when there is nothing to look at. */
  run(on: Verification): Promise<void>;
}

/** Names of the inputs that must be given. */
export function requiredInputs(inputs: Readonly<Record<string, string>>): string[] {
  return Object.entries(inputs).flatMap(([name, what]) => (what.startsWith(OPTIONAL_INPUT_MARK) ? [] : [name]));
}
