import { AppError } from '@selvedge/contract';
import { Mismatch } from '@selvedge/runtime/mismatch';
import { type AgentCommands, AgentUnderTest } from './agent-under-test.ts';
import { AUDITS } from './checks/audit.ts';
import type { Check } from './checks/check.ts';
import { COMMAND_CHECKS } from './checks/commands.ts';
import { CONTENT_CHECKS } from './checks/content.ts';
import { JOIN_CHECKS } from './checks/joining.ts';
import { ORDER_CHECKS } from './checks/orders.ts';
import { SESSION_CHECKS } from './checks/session.ts';
import { Examination } from './examination.ts';
import { NotObservable } from './not-observable.ts';
import { BEYOND_SIGHT, isRule, RULES, type Rule } from './rules.ts';
import { ScratchServer } from './scratch-server.ts';

/** In this order; the last ones look back at everything. */
const CHECKS: readonly Check[] = [...JOIN_CHECKS, ...ORDER_CHECKS, ...COMMAND_CHECKS, ...CONTENT_CHECKS, ...SESSION_CHECKS, ...AUDITS];

export interface RuleResult {
  readonly rule: Rule;
  /** What the rule says. */
  readonly says: string;
  readonly outcome: 'ok' | 'failed' | 'not observable';
  /** Of one that failed. */
  readonly expected?: string;
  readonly got?: string;
  /** Of one that is not observable. */
  readonly because?: string;
}

export interface DeviceVerification {
  /** No rule was broken. */
  readonly passed: boolean;
  readonly rules: readonly RuleResult[];
}

export interface VerifyDeviceOptions {
  readonly commands: AgentCommands;
  /** Rules to look at; all without it. */
  readonly only?: readonly Rule[] | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Called as soon as a rule is decided. */
  readonly onRule?: (result: RuleResult) => void;
}

type Finding = Pick<RuleResult, 'outcome' | 'expected' | 'got' | 'because'>;

/** @throws AppError USAGE when a name is that of no rule. */
export function parseRules(names: readonly string[]): Rule[] {
  return names.map((name) => {
    if (isRule(name)) return name;
    throw new AppError('USAGE', { message: `${name} is no rule of the device protocol.`, hint: 'They are named R1, R2, …' });
  });
}

/**
 * Looks whether an agent, written in whatever language, keeps the device protocol. It plays the server, with faults where a
 * rule is about faults; the agent is started again and again, in folders of its own that are removed at the end.
 */
export async function verifyDevice(options: VerifyDeviceOptions): Promise<DeviceVerification> {
  const { commands, only, signal, onRule } = options;
  const wanted = Object.keys(RULES)
    .filter(isRule)
    .filter((rule) => only === undefined || only.includes(rule));
  const server = await ScratchServer.start();
  const agent = new AgentUnderTest(commands, server.url);
  const on = new Examination(server, agent, signal);
  const left = CHECKS.filter(({ rule }) => wanted.includes(rule));
  const findings = new Map<Rule, Finding[]>();
  const rules: RuleResult[] = [];
  const decide = (rule: Rule) => {
    const result = resultOf(rule, findings.get(rule) ?? []);
    rules.push(result);
    onRule?.(result);
  };
  try {
    for (const [index, check] of left.entries()) {
      const known = findings.get(check.rule) ?? [];
      // A rule that is broken is not looked at further.
      if (!known.some(({ outcome }) => outcome === 'failed')) findings.set(check.rule, [...known, await runCheck(check, on, signal)]);
      if (!left.slice(index + 1).some(({ rule }) => rule === check.rule)) decide(check.rule);
    }
    for (const rule of wanted.filter((name) => !rules.some((result) => result.rule === name))) decide(rule);
  } finally {
    await agent.end();
    await server.stop();
  }
  rules.sort((a, b) => wanted.indexOf(a.rule) - wanted.indexOf(b.rule));
  return { passed: rules.every(({ outcome }) => outcome !== 'failed'), rules };
}

async function runCheck(check: Check, on: Examination, signal: AbortSignal | undefined): Promise<Finding> {
  try {
    await check.run(on);
    return { outcome: 'ok' };
  } catch (error) {
    signal?.throwIfAborted();
    if (error instanceof NotObservable) return { outcome: 'not observable', because: error.message };
    if (error instanceof Mismatch) return { outcome: 'failed', expected: error.expected, got: error.got };
    throw error;
  }
}

function resultOf(rule: Rule, findings: readonly Finding[]): RuleResult {
  const found = findings.find(({ outcome }) => outcome === 'failed') ??
    findings.find(({ outcome }) => outcome === 'ok') ??
    findings[0] ?? { outcome: 'not observable', because: BEYOND_SIGHT[rule] ?? 'nothing of it can be seen from outside' };
  return { rule, says: RULES[rule], ...found };
}
