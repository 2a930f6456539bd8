import * as z from 'zod';

/** Stands for one argument that is no option. */
const ONE = '*';
/** At the end: any arguments, also none. */
const ANY = '**';

const argvRuleSchema = z
  .array(z.string().max(4096))
  .min(1)
  .max(256)
  .refine(([program = '']) => program !== '' && !program.includes('*'), 'must begin with the name of a program')
  .refine((argv) => argv.indexOf(ANY) === -1 || argv.indexOf(ANY) === argv.length - 1, '"**" may stand at the end only');

/** Which programs a device runs for its server: none without it. */
export const commandPolicySchema = z.strictObject({
  allow: z
    .array(z.strictObject({ argv: argvRuleSchema }))
    .max(256)
    .default([]),
  /** No program runs for longer, whatever is asked; default 600. */
  maxSeconds: z.int().min(1).max(86_400).default(600),
  /** Most that one program may write, MiB; more ends it. Default 64. */
  maxOutputMiB: z.int().min(1).max(4096).default(64),
  /** As whom they run; default: as the agent, and another only when the agent is root. */
  user: z.string().min(1).max(64).optional(),
});
export type CommandPolicy = z.infer<typeof commandPolicySchema>;

/** Whether a device lets its server open a shell: not without it. */
export const shellPolicySchema = z.strictObject({
  enabled: z.boolean().default(false),
  /** Default /bin/sh. */
  program: z.string().startsWith('/').max(4096).default('/bin/sh'),
  /** A shell that is typed nothing into for so long ends; default 900. */
  idleTimeoutS: z.int().min(1).max(86_400).default(900),
  user: z.string().min(1).max(64).optional(),
});
export type ShellPolicy = z.infer<typeof shellPolicySchema>;

function matches(rule: readonly string[], argv: readonly string[]): boolean {
  const open = rule.at(-1) === ANY;
  const fixed = open ? rule.slice(0, -1) : rule;
  if (open ? argv.length < fixed.length : argv.length !== fixed.length) return false;
  return fixed.every((wanted, at) => {
    const given = argv[at] ?? '';
    return wanted === given || (at > 0 && wanted === ONE && !given.startsWith('-'));
  });
}

/**
 * The rule that allows a command line; undefined: none does. Words are compared whole, nothing in them is interpreted. `*` does not
 * stand for an argument that begins with "-", or a rule for `cat *` would allow its options too.
 */
export function allowingRule(policy: CommandPolicy, argv: readonly string[]): readonly string[] | undefined {
  if (argv.some((word) => word.includes('\0'))) return undefined;
  return policy.allow.find((rule) => matches(rule.argv, argv))?.argv;
}
