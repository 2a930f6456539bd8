import { Command } from 'commander';
import type { Io } from './io.ts';
import { addGlobalOptions } from './options.ts';
import { VERSION } from './version.ts';

/** Fills an empty command with its arguments, options, subcommands and actions. */
export type Register = (command: Command, io: Io) => void;

interface CommandEntry {
  readonly name: string;
  readonly group: string;
  readonly summary: string;
  readonly load: () => Promise<Register>;
}

const START = 'Start:';
const WORK = 'Data, training, models:';
const FLEET = 'Devices:';
const ANY = 'Any resource:';

/**
 * The top level of the command tree. A command's file, and with it the contract and its schemas, is loaded when the
 * command is called, so that `selvedge --help` stays quick.
 */
export const COMMANDS: readonly CommandEntry[] = [
  {
    name: 'up',
    group: START,
    summary: 'start the server here, in the foreground',
    load: async () => (await import('./commands/up.ts')).registerUp,
  },
  {
    name: 'open',
    group: START,
    summary: 'print a fresh link that signs a browser in once',
    load: async () => (await import('./commands/open.ts')).registerOpen,
  },
  {
    name: 'status',
    group: START,
    summary: 'show how the server, its modules and its devices are',
    load: async () => (await import('./commands/status.ts')).registerStatus,
  },
  {
    name: 'dataset',
    group: WORK,
    summary: 'add and look at datasets',
    load: async () => (await import('./commands/dataset.ts')).registerDataset,
  },
  {
    name: 'pipeline',
    group: WORK,
    summary: 'run and look at pipelines',
    load: async () => (await import('./commands/pipeline.ts')).registerPipeline,
  },
  {
    name: 'run',
    group: WORK,
    summary: 'follow, cancel and look at runs',
    load: async () => (await import('./commands/run.ts')).registerRun,
  },
  {
    name: 'trigger',
    group: WORK,
    summary: 'look at and fire what starts runs by itself',
    load: async () => (await import('./commands/trigger.ts')).registerTrigger,
  },
  {
    name: 'model',
    group: WORK,
    summary: 'look at, compare, name and download models',
    load: async () => (await import('./commands/model.ts')).registerModel,
  },
  {
    name: 'task',
    group: WORK,
    summary: 'compare the pipelines of a task by its criteria',
    load: async () => (await import('./commands/task.ts')).registerTask,
  },
  {
    name: 'lineage',
    group: WORK,
    summary: 'find what depends on a dataset, down to the devices',
    load: async () => (await import('./commands/lineage.ts')).registerLineage,
  },
  {
    name: 'target',
    group: WORK,
    summary: 'install what native packages for devices are built with',
    load: async () => (await import('./commands/target.ts')).registerTarget,
  },
  {
    name: 'build',
    group: WORK,
    summary: 'build native packages of a model',
    load: async () => (await import('./commands/build.ts')).registerBuild,
  },
  {
    name: 'package',
    group: WORK,
    summary: 'look at, verify and export native packages',
    load: async () => (await import('./commands/package.ts')).registerPackage,
  },
  {
    name: 'mlflow',
    group: WORK,
    summary: 'look at what MLflow clients have logged here',
    load: async () => (await import('./commands/mlflow.ts')).registerMlflow,
  },
  {
    name: 'deploy',
    group: FLEET,
    summary: 'let devices serve a version, all at once or in waves',
    load: async () => (await import('./commands/deploy.ts')).registerDeploy,
  },
  {
    name: 'rollout',
    group: FLEET,
    summary: 'look at, follow and steer rollouts',
    load: async () => (await import('./commands/rollout.ts')).registerRollout,
  },
  {
    name: 'recall',
    group: FLEET,
    summary: 'find what something went into, and take it from devices',
    load: async () => (await import('./commands/recall.ts')).registerRecall,
  },
  {
    name: 'device',
    group: FLEET,
    summary: 'let devices join; look at, place and remove them; files, commands and logs',
    load: async () => (await import('./commands/device.ts')).registerDevice,
  },
  {
    name: 'group',
    group: FLEET,
    summary: 'save label queries as groups of devices',
    load: async () => (await import('./commands/group.ts')).registerGroup,
  },
  {
    name: 'ca',
    group: FLEET,
    summary: 'look at and change the certificate authority of the devices',
    load: async () => (await import('./commands/ca.ts')).registerCa,
  },
  {
    name: 'agent',
    group: FLEET,
    summary: 'make this machine a device',
    load: async () => (await import('./commands/agent.ts')).registerAgent,
  },
  {
    name: 'bundle',
    group: FLEET,
    summary: 'update devices that no network leads to, by a stick',
    load: async () => (await import('./commands/bundle.ts')).registerBundle,
  },
  {
    name: 'play',
    group: FLEET,
    summary: 'bring devices into a state by a list of tasks',
    load: async () => (await import('./commands/play.ts')).registerPlay,
  },
  {
    name: 'operation',
    group: FLEET,
    summary: 'look at, follow and cancel what was asked of devices',
    load: async () => (await import('./commands/operation.ts')).registerOperation,
  },
  {
    name: 'simulate',
    group: FLEET,
    summary: 'run many simulated devices against a server',
    load: async () => (await import('./commands/simulate.ts')).registerSimulate,
  },
  {
    name: 'bench',
    group: FLEET,
    summary: 'measure native packages on devices',
    load: async () => (await import('./commands/bench.ts')).registerBench,
  },
  {
    name: 'infer',
    group: FLEET,
    summary: 'send pictures to a device that serves a model',
    load: async () => (await import('./commands/infer.ts')).registerInfer,
  },
  {
    name: 'apply',
    group: ANY,
    summary: 'create or change resources from files',
    load: async () => (await import('./commands/apply.ts')).registerApply,
  },
  { name: 'get', group: ANY, summary: 'show resources of a kind', load: async () => (await import('./commands/get.ts')).registerGet },
  { name: 'delete', group: ANY, summary: 'delete a resource', load: async () => (await import('./commands/delete.ts')).registerDelete },
  {
    name: 'module',
    group: ANY,
    summary: 'look at the tools that the server runs',
    load: async () => (await import('./commands/module.ts')).registerModule,
  },
  {
    name: 'artifact',
    group: WORK,
    summary: 'look at, download and remove what tools have made',
    load: async () => (await import('./commands/artifact.ts')).registerArtifact,
  },
  {
    name: 'tool',
    group: ANY,
    summary: 'check tools, and begin new ones',
    load: async () => (await import('./commands/tool.ts')).registerTool,
  },
  {
    name: 'device-protocol',
    group: ANY,
    summary: 'check agents in whatever language',
    load: async () => (await import('./commands/device-protocol.ts')).registerDeviceProtocol,
  },
  {
    name: 'version',
    group: ANY,
    summary: 'print the versions of this command line and of the server',
    load: async () => (await import('./commands/version.ts')).registerVersion,
  },
];

const TOP_LEVEL_EXAMPLES = `
Examples:
  $ selvedge up
  $ selvedge dataset add digits --from ./digits
  $ selvedge apply -f pipeline.json --name digits
  $ selvedge pipeline run digits --watch

"selvedge <command> --help" or "selvedge help <command>" tells more.`;

/** The command tree; the parts below the first level are filled in when they are called. */
export function buildProgram(io: Io): Command {
  const program = new Command('selvedge')
    .description('From a dataset to a fleet of edge devices that serve the model.')
    .exitOverride()
    .configureOutput({
      writeOut: (text) => void io.stdout.write(text),
      writeErr: (text) => void io.stderr.write(text),
      // Errors are printed in one place, with the hint and in the wished form.
      outputError: () => undefined,
    })
    .version(VERSION, '-V, --version', 'print the version of this command line')
    .enablePositionalOptions()
    // "help NAME" is turned into "NAME --help", which fills the command first
    .helpCommand(false)
    .addHelpText('after', TOP_LEVEL_EXAMPLES);
  addGlobalOptions(program);
  for (const { name, group, summary } of COMMANDS) program.command(name).description(summary).helpGroup(group);
  const filled = new Set<string>();
  program.hook('preSubcommand', async (_program, called) => {
    const entry = COMMANDS.find(({ name }) => name === called.name());
    if (entry === undefined || filled.has(entry.name)) return;
    filled.add(entry.name);
    (await entry.load())(called, io);
  });
  return program;
}
