import type { RuleResult } from '@selvedge/device-link/conformance';
import type { Command } from 'commander';
import { ChildEnded } from '../child-ended.ts';
import { agentProgram } from '../install-root.ts';
import type { Io } from '../io.ts';
import { finishLeaf } from '../leaf.ts';
import { paint } from '../output/paint.ts';
import { openSession, type Session } from '../session.ts';

interface VerifyOptions {
  join?: string;
  only?: string[];
}

/** Our own agent, with samples often enough to be seen. */
function ownAgent(): { join: string[]; run: string[] } {
  const program = agentProgram();
  return {
    join: [program, 'join', '{server}', '--token', '{token}', '--dir', '{data}'],
    run: [program, 'run', '--dir', '{data}', '--telemetry-interval-s', '1', '--telemetry-batch-s', '2'],
  };
}

function commandsOf(words: readonly string[], { join }: VerifyOptions, io: Io) {
  const own = words.length === 0 && join === undefined ? ownAgent() : undefined;
  const run = words.length === 0 ? ownAgent().run : words;
  return { ...(own ?? { join: join === undefined ? undefined : ['/bin/sh', '-c', join], run }), env: io.env };
}

function lineOf(session: Session, { rule, outcome, says, expected, got, because }: RuleResult): string {
  const tint = { ok: 'green', failed: 'red', 'not observable': 'yellow' } as const;
  const word = outcome === 'failed' ? 'FAILED' : outcome;
  const mark = paint(word.padEnd(14), tint[outcome], session.settings.color);
  const head = `${mark} ${rule.padEnd(3)} ${says}`;
  if (outcome === 'failed') return `${head}\n                   expected ${expected}\n                   got      ${got}`;
  return because === undefined ? head : `${head}\n                   ${because}`;
}

function show(session: Session, result: RuleResult): void {
  const { output, quiet } = session.settings;
  if (output === 'table' && !(quiet && result.outcome !== 'failed')) session.print(lineOf(session, result));
}

function summary(rules: readonly RuleResult[]): string {
  const count = (outcome: RuleResult['outcome']) => rules.filter((result) => result.outcome === outcome).length;
  return `${count('ok')} ok, ${count('failed')} failed, ${count('not observable')} not observable.`;
}

export function registerDeviceProtocol(command: Command, io: Io): void {
  const verify = command
    .command('verify [command...]')
    .description('check that an agent, in whatever language, keeps the device protocol')
    .option('--join <command>', 'command that joins and ends, for an agent that does not join by itself when it runs first')
    .option('--only <rules>', 'rules to look at, like R12,R17', (text: string) => text.split(','))
    .action(async (words: string[], options: VerifyOptions, called: Command) => {
      const session = await openSession(called, io);
      const { parseRules, verifyDevice } = await import('@selvedge/device-link/conformance');
      const result = await verifyDevice({
        commands: commandsOf(words, options, io),
        only: options.only === undefined ? undefined : parseRules(options.only),
        signal: io.signal,
        onRule: (found) => show(session, found),
      });
      await session.result(result, () => summary(result.rules));
      // What failed has been said; the exit code says that something has.
      if (!result.passed) throw new ChildEnded(1);
    });
  finishLeaf(verify, {
    server: false,
    examples: [
      'selvedge device-protocol verify',
      'selvedge device-protocol verify --only R12,R17 -- python3 my-agent.py {server} {token} {data}',
      "selvedge device-protocol verify --join './my-agent join {server} {token} {data}' -- ./my-agent run {data}",
    ],
    notes: `The agent is started in folders of its own, against a server that this command plays, with cut connections, a foreign
certificate, damaged files and the like; {server}, {token} and {data} in its commands are replaced. Each rule of the device
protocol is printed as ok, FAILED or not observable; the exit code is 1 when one failed. It takes two minutes. Without a
command it is the agent of this installation.`,
  });
}
