import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { allowingRule, commandPolicySchema } from './command-policy.ts';

const policy = (...rules: string[][]) => commandPolicySchema.parse({ allow: rules.map((argv) => ({ argv })) });
const word = fc
  .string({ minLength: 1, maxLength: 6 })
  .filter((text) => !text.includes('*') && !text.includes('\0') && !text.startsWith('-'));

describe('the policy of commands', () => {
  it('allows nothing when nothing is said', () => {
    fc.assert(fc.property(fc.array(fc.string(), { minLength: 1 }), (argv) => allowingRule(policy(), argv) === undefined));
  });

  it('allows a command line that is written out, and no other', () => {
    fc.assert(
      fc.property(fc.array(word, { minLength: 1 }), fc.array(fc.string(), { minLength: 1 }), (rule, other) => {
        const one = policy(rule);
        expect(allowingRule(one, rule)).toEqual(rule);
        if (JSON.stringify(other) !== JSON.stringify(rule)) expect(allowingRule(one, other)).toBeUndefined();
        expect(allowingRule(one, [...rule, 'more'])).toBeUndefined();
        expect(allowingRule(one, rule.slice(0, -1))).toBeUndefined();
      }),
    );
  });

  it('takes any one argument for "*", but no option', () => {
    fc.assert(
      fc.property(fc.array(word, { minLength: 1 }), fc.array(word), word, (before, after, free) => {
        const one = policy([...before, '*', ...after]);
        expect(allowingRule(one, [...before, free, ...after])).toBeDefined();
        expect(allowingRule(one, [...before, `-${free}`, ...after])).toBeUndefined();
        expect(allowingRule(one, [...before, free, free, ...after])).toBeUndefined();
      }),
    );
  });

  it('takes any rest for "**"', () => {
    fc.assert(
      fc.property(fc.array(word, { minLength: 1 }), fc.array(fc.string().filter((text) => !text.includes('\0'))), (before, rest) => {
        expect(allowingRule(policy([...before, '**']), [...before, ...rest])).toBeDefined();
        expect(allowingRule(policy([...before, '**']), ['x', ...before, ...rest].slice(0, before.length))).toEqual(
          JSON.stringify(['x', ...before].slice(0, before.length)) === JSON.stringify(before) ? [...before, '**'] : undefined,
        );
      }),
    );
  });

  it('refuses rules that leave the program open or have "**" in the middle', () => {
    for (const argv of [['*'], ['**'], ['ls*'], [''], ['ls', '**', 'x'], []])
      expect(commandPolicySchema.safeParse({ allow: [{ argv }] }).success).toBe(false);
  });
});
