import { allowingRule } from '../domain/command-policy.ts';
import type { RemotePolicy } from '../services/programs.ts';

/** What the server may do on this device besides serving models, as text for people. */
export function formatPolicy(policy: RemotePolicy): string {
  const { commands, shell, reboot, rebootCommand, file } = policy;
  const rules = commands.allow.map(({ argv }) => `  ${argv.join(' ')}`);
  return [
    `rules     ${file}`,
    `commands  ${rules.length === 0 ? 'none' : `${rules.length}, for ${commands.maxSeconds} s and ${commands.maxOutputMiB} MiB at most`}`,
    ...rules,
    `shell     ${shell.enabled ? `${shell.program}, ends after ${shell.idleTimeoutS} s without input` : 'not allowed'}`,
    `reboot    ${reboot ? rebootCommand.join(' ') : 'not allowed'}`,
  ].join('\n');
}

export function checkCommand(policy: RemotePolicy, argv: readonly string[]): { allowed: boolean; text: string } {
  const rule = allowingRule(policy.commands, argv);
  if (rule !== undefined) return { allowed: true, text: `allowed by: ${rule.join(' ')}` };
  return { allowed: false, text: `not allowed: no rule in ${policy.file} does` };
}
