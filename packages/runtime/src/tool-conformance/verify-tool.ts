import { AppError, type ToolExample } from '@selvedge/contract';
import { Mismatch } from '../mismatch.ts';
import type { Check } from './checks/check.ts';
import { CREATION_CHECKS } from './checks/creation.ts';
import { DATA_CHECKS } from './checks/data.ts';
import { DESCRIPTION_CHECKS } from './checks/description.ts';
import { LIFE_CHECKS } from './checks/life.ts';
import { METRIC_CHECKS } from './checks/metrics.ts';
import { REFUSAL_CHECKS } from './checks/refusals.ts';
import { Connection } from './connection.ts';
import { NotApplicable } from './expectation.ts';
import { Verification } from './verification.ts';

/** In this order: later ones look at what earlier ones have made, and the last one removes it. */
const CHECKS: readonly Check[] = [
  ...DESCRIPTION_CHECKS,
  ...REFUSAL_CHECKS,
  ...CREATION_CHECKS,
  ...DATA_CHECKS,
  ...METRIC_CHECKS,
  ...LIFE_CHECKS,
];

export interface CheckResult {
  readonly check: string;
  readonly outcome: 'ok' | 'failed' | 'skipped';
  /** Of one that failed. */
  readonly expected?: string;
  readonly got?: string;
  /** Of one that was skipped: what is missing for it. */
  readonly because?: string;
}

export interface ToolVerification {
  readonly url: string;
  /** Name that the tool gives itself; null when it does not. */
  readonly tool: string | null;
  /** No check failed. */
  readonly passed: boolean;
  readonly checks: readonly CheckResult[];
}

export interface VerifyToolOptions {
  /** Root of the tool, or of the gateway in front of it: `http://127.0.0.1:7070/containers/train`. */
  readonly url: string;
  readonly token?: string | undefined;
  /** What an artifact is made of; default the example of the tool's description. */
  readonly example?: ToolExample | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly onCheck?: (result: CheckResult) => void;
}

/**
 * Looks whether a tool, written in whatever language, keeps the tool API; nothing is assumed of it but its description.
 * The artifacts that are made for this have names that begin with `verify-` and are removed at the end.
 *
 * @throws AppError TOOL_UNAVAILABLE (operational) when nobody answers at all.
 */
export async function verifyTool(options: VerifyToolOptions): Promise<ToolVerification> {
  const { url, example, signal, onCheck } = options;
  const tool = new Connection(options);
  await tool.ask('/');
  const on = new Verification(tool, { example, signal });
  const checks: CheckResult[] = [];
  try {
    for (const check of CHECKS) {
      const result = await runCheck(check, on, signal);
      checks.push(result);
      onCheck?.(result);
    }
  } finally {
    await removeLeftovers(on);
  }
  return { url, tool: on.description?.name ?? null, passed: checks.every(({ outcome }) => outcome !== 'failed'), checks };
}

async function runCheck(check: Check, on: Verification, signal: AbortSignal | undefined): Promise<CheckResult> {
  const { title } = check;
  try {
    await check.run(on);
    return { check: title, outcome: 'ok' };
  } catch (error) {
    signal?.throwIfAborted();
    if (error instanceof NotApplicable) return { check: title, outcome: 'skipped', because: error.message };
    if (error instanceof Mismatch) return { check: title, outcome: 'failed', expected: error.expected, got: error.got };
    if (error instanceof AppError) return { check: title, outcome: 'failed', expected: 'an answer', got: error.message };
    throw error;
  }
}

async function removeLeftovers(on: Verification): Promise<void> {
  for (const name of on.usedNames) {
    // What is not there any more, or a tool that does not answer any more, leaves nothing to do.
    await on.tool.ask(`/artifacts/${name}/`, { method: 'DELETE' }).catch((error: unknown) => {
      if (!(error instanceof AppError)) throw error;
    });
  }
}
