import type { Examination } from '../examination.ts';
import type { Rule } from '../rules.ts';

/** One thing that is looked at for a rule. */
export interface Check {
  readonly rule: Rule;
  /** @throws Mismatch when the rule is broken; NotObservable when there is nothing to look at. */
  readonly run: (on: Examination) => Promise<void>;
}
