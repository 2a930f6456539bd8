import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseRules, type RuleResult, verifyDevice } from '@selvedge/device-link/conformance';
import { describe, expect, it } from 'vitest';
import { ROOT } from '../../e2e/harness/product.ts';

const CLI = join(ROOT, 'packages/cli/bin/selvedge.mjs');
const MINIMAL = ['python3', join(ROOT, 'examples/minimal-agent/agent.py'), '{server}', '{token}', '{data}'];
const BROKEN = ['python3', join(ROOT, 'tests/compat/conformance/broken-agent.py'), '{server}', '{token}', '{data}'];
/** Of an agent that has no runtime for models. */
const NEEDS_A_RUNTIME = ['R18', 'R19', 'R23'];
const BEYOND_SIGHT = ['R20', 'R21', 'R26'];

const rulesThatAre = (outcome: RuleResult['outcome'], rules: readonly RuleResult[]) =>
  rules.filter((result) => result.outcome === outcome).map(({ rule }) => rule);

/** By the class in broken-agent.py: the rule that it breaks. */
const FAULTS: readonly (readonly [string, string])[] = [
  ['TrustsAnyone', 'R2'],
  ['TakesAnyVersion', 'R3'],
  ['RefusesUnknownFields', 'R3'],
  ['LocalTimes', 'R4'],
  ['SendsItsKey', 'R5'],
  ['SkipsFingerprint', 'R6'],
  ['PinsTheAnswer', 'R7'],
  ['NeverRenews', 'R8'],
  ['NeverGivesUp', 'R9'],
  ['AnyClientId', 'R10'],
  ['PublishesFirst', 'R11'],
  ['ForgetsUnacknowledged', 'R12'],
  ['AcknowledgesBeforeDisk', 'R12'],
  ['Hammers', 'R13'],
  ['UsesOtherTopics', 'R14'],
  ['TakesAnyRevision', 'R15'],
  ['AcknowledgesBeforeDisk', 'R16'],
  ['BeginsDownloadsAnew', 'R17'],
  ['ServesAnything', 'R17'],
  ['NeverCounts', 'R22'],
  ['LosesSamples', 'R24'],
  ['AnswersTwice', 'R25'],
  ['AnswersExpired', 'R25'],
  ['NewKeyEachTime', 'R27'],
  ['GoesByDates', 'R28'],
  ['OwnClock', 'R28'],
  ['DoesAnything', 'R29'],
  ['DoesAnything', 'R30'],
];

describe('selvedge device-protocol verify', () => {
  it.concurrent('finds that our own agent keeps every rule that can be seen', async () => {
    const { code, stdout } = await called(['device-protocol', 'verify', '-o', 'json']);
    const { passed, rules } = JSON.parse(stdout) as { passed: boolean; rules: RuleResult[] };
    expect(rulesThatAre('failed', rules)).toEqual([]);
    expect(rulesThatAre('not observable', rules)).toEqual(BEYOND_SIGHT);
    expect({ passed, code }).toEqual({ passed: true, code: 0 });
  });

  it.concurrent('finds that an agent in Python, which was written from the document alone, does as well', async () => {
    const { passed, rules } = await verifyDevice({ commands: { run: MINIMAL, env: { ...process.env, SAMPLE_S: '1' } } });
    expect(rules.filter(({ outcome }) => outcome === 'failed')).toEqual([]);
    expect(rulesThatAre('not observable', rules).toSorted()).toEqual([...NEEDS_A_RUNTIME, ...BEYOND_SIGHT].toSorted());
    expect(passed).toBe(true);
  });

  it('says with exit code 1 and the rule what an agent does wrong', async () => {
    const { code, stdout } = await called(['device-protocol', 'verify', '--only', 'R25', '--', ...BROKEN], { FAULT: 'AnswersTwice' });
    expect(code).toBe(1);
    expect(stdout).toMatch(/FAILED\s+R25 A command is answered once.*\n\s+expected one reply.*\n\s+got\s+\d replies/);
  });

  it('refuses a rule that there is not', async () => {
    const { code, stderr } = await called(['device-protocol', 'verify', '--only', 'R99']);
    expect({ code, stderr }).toEqual({ code: 2, stderr: expect.stringContaining('R99 is no rule') });
  });

  it.concurrent.each(FAULTS)('finds an agent that %s under %s', async (fault, rule) => {
    const commands = { run: BROKEN, env: { ...process.env, FAULT: fault, SAMPLE_S: '1' } };
    const { rules } = await verifyDevice({ commands, only: parseRules([rule]) });
    expect(rules).toEqual([expect.objectContaining({ rule, outcome: 'failed' })]);
  });
});

describe('the protocol document', () => {
  it('has the rules that the suite knows, and no other that binds a device', async () => {
    const text = await readFile(join(ROOT, 'docs/reference/device-protocol.md'), 'utf8');
    const documented = [...text.matchAll(/^- \*\*R(\d+)\*\*/gm)].map(([, number]) => Number(number)).filter((number) => number <= 30);
    expect(documented.toSorted((a, b) => a - b)).toEqual(Array.from({ length: 30 }, (_, index) => index + 1));
    expect(parseRules(documented.map((number) => `R${number}`))).toHaveLength(30);
  });
});

function called(args: readonly string[], env: Record<string, string> = {}): Promise<{ code: number; stdout: string; stderr: string }> {
  return new Promise((resolve) => {
    const options = { env: { ...process.env, NO_COLOR: '1', ...env }, maxBuffer: 16 * 1024 * 1024 };
    const child = execFile(process.execPath, [CLI, ...args], options, (_, stdout, stderr) =>
      resolve({ code: child.exitCode ?? -1, stdout, stderr }),
    );
  });
}
