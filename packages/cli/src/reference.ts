import type { Command, Option } from 'commander';
import { registerAgent } from './commands/agent.ts';
import { registerApply } from './commands/apply.ts';
import { registerArtifact } from './commands/artifact.ts';
import { registerBench } from './commands/bench.ts';
import { registerBuild } from './commands/build.ts';
import { registerBundle } from './commands/bundle.ts';
import { registerCa } from './commands/ca.ts';
import { registerDataset } from './commands/dataset.ts';
import { registerDelete } from './commands/delete.ts';
import { registerDeploy } from './commands/deploy.ts';
import { registerDevice } from './commands/device.ts';
import { registerDeviceProtocol } from './commands/device-protocol.ts';
import { registerGet } from './commands/get.ts';
import { registerGroup } from './commands/group.ts';
import { registerInfer } from './commands/infer.ts';
import { registerLineage } from './commands/lineage.ts';
import { registerMlflow } from './commands/mlflow.ts';
import { registerModel } from './commands/model.ts';
import { registerModule } from './commands/module.ts';
import { registerOpen } from './commands/open.ts';
import { registerOperation } from './commands/operation.ts';
import { registerPackage } from './commands/package.ts';
import { registerPipeline } from './commands/pipeline.ts';
import { registerPlay } from './commands/play.ts';
import { registerRecall } from './commands/recall.ts';
import { registerRollout } from './commands/rollout.ts';
import { registerRun } from './commands/run.ts';
import { registerSimulate } from './commands/simulate.ts';
import { registerStatus } from './commands/status.ts';
import { registerTarget } from './commands/target.ts';
import { registerTask } from './commands/task.ts';
import { registerTool } from './commands/tool.ts';
import { registerTrigger } from './commands/trigger.ts';
import { registerUp } from './commands/up.ts';
import { registerVersion } from './commands/version.ts';
import type { Io, OutputStream } from './io.ts';
import { GLOBAL_GROUP } from './options.ts';
import { buildProgram, type Register } from './program.ts';

const REGISTER: Readonly<Record<string, Register>> = {
  up: registerUp,
  open: registerOpen,
  simulate: registerSimulate,
  status: registerStatus,
  target: registerTarget,
  task: registerTask,
  lineage: registerLineage,
  dataset: registerDataset,
  pipeline: registerPipeline,
  run: registerRun,
  trigger: registerTrigger,
  mlflow: registerMlflow,
  model: registerModel,
  build: registerBuild,
  package: registerPackage,
  deploy: registerDeploy,
  rollout: registerRollout,
  recall: registerRecall,
  device: registerDevice,
  'device-protocol': registerDeviceProtocol,
  group: registerGroup,
  ca: registerCa,
  agent: registerAgent,
  bundle: registerBundle,
  operation: registerOperation,
  play: registerPlay,
  bench: registerBench,
  infer: registerInfer,
  apply: registerApply,
  get: registerGet,
  delete: registerDelete,
  module: registerModule,
  artifact: registerArtifact,
  tool: registerTool,
  version: registerVersion,
};

/** Help is the same on every machine: no terminal, no environment. */
function pageIo(write: (text: string) => void): Io {
  const stream: OutputStream = {
    write: (data) => {
      write(String(data));
      return true;
    },
    once: () => undefined,
    isTTY: false,
    columns: 100,
  };
  return {
    env: {},
    cwd: '/',
    stdin: { [Symbol.asyncIterator]: async function* () {} },
    stdout: stream,
    stderr: stream,
    signal: new AbortController().signal,
    now: () => 0,
  };
}

function pathOf(command: Command): string {
  const names: string[] = [];
  for (let at: Command | null = command; at !== null; at = at.parent) names.unshift(at.name());
  return names.join(' ');
}

function isGlobal(option: Option): boolean {
  return option.helpGroupHeading === GLOBAL_GROUP;
}

function choices(option: Option): string {
  return option.argChoices === undefined ? '' : `; one of ${option.argChoices.join(', ')}`;
}

function optionRows(options: readonly Option[]): string[] {
  const cell = (text: string) => text.replaceAll('|', '\\|');
  return [
    '| option | meaning |',
    '|---|---|',
    ...options.map((option) => `| \`${cell(option.flags)}\` | ${cell(option.description)}${choices(option)} |`),
  ];
}

/** The examples and notes that stand below a command's options in its help. */
function textAfter(command: Command): string {
  let text = '';
  command.configureOutput({
    writeOut: (part) => {
      text += part;
    },
  });
  command.outputHelp();
  const at = text.search(/^Examples?:$/m);
  return at < 0 ? '' : text.slice(at).trim();
}

function sentence(text: string): string {
  return `${text.slice(0, 1).toUpperCase()}${text.slice(1)}`;
}

function leafSection(command: Command): string[] {
  const path = pathOf(command);
  const own = command.options.filter((option) => !isGlobal(option));
  const [examples = '', ...notes] = textAfter(command).split(/\n\n/);
  const lines = [`## ${path}`, '', `${sentence(command.description())}.`, '', '```', `${path} ${command.usage()}`, '```', ''];
  if (own.length > 0) lines.push(...optionRows(own), '');
  const commands = examples
    .split('\n')
    .slice(1)
    .map((line) => line.trim());
  if (commands.length > 0) lines.push('```sh', ...commands, '```', '');
  for (const note of notes) lines.push(note, '');
  return lines;
}

function sections(command: Command): string[] {
  const below = command.commands.flatMap(sections);
  // Some, like "device token", do something themselves and have commands below them.
  const isLeaf = command.commands.length === 0 || command.options.some((option) => !isGlobal(option));
  return command.parent !== null && isLeaf ? [...leafSection(command), ...below] : below;
}

/** The page docs/reference/cli.md, made from the whole command tree. */
export function cliReferenceMarkdown(): string {
  const io = pageIo(() => undefined);
  const program = buildProgram(io);
  for (const command of program.commands) {
    const register = REGISTER[command.name()];
    if (register === undefined) throw new Error(`The command "${command.name()}" is missing in the reference.`);
    register(command, io);
  }
  return [
    '# Command line',
    '',
    'Results go to stdout, progress, hints and errors to stderr. With `-o json` an error is one line of problem JSON on stderr.',
    'Exit codes: 0 success, 1 bug, 2 wrong usage or invalid input, 3 not found, 4 conflict, 5 not allowed, 6 failed work, 7 unreachable or temporary, 130 interrupted; see [errors.md](errors.md).',
    '',
    '## Global options',
    '',
    ...optionRows(program.options.filter(isGlobal)),
    '',
    ...program.commands.flatMap(sections),
  ]
    .join('\n')
    .replace(/\n+$/, '\n');
}
