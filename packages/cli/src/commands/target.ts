import { isAbsolute, join } from 'node:path';
import { AppError } from '@selvedge/contract';
import type { TargetState, VerifyResult } from '@selvedge/toolchain';
import type { Command } from 'commander';
import { followInstall } from '../follow/follow-install.ts';
import type { Io } from '../io.ts';
import { finishLeaf } from '../leaf.ts';
import { globalOptions } from '../options.ts';
import { formatBytes, orDash } from '../output/format.ts';
import { renderTable } from '../output/table.ts';
import { openSession, type Session } from '../session.ts';

// The library is loaded when a command runs, so that help and other commands do not pay for it.
const toolchain = () => import('@selvedge/toolchain');

async function targetsDir(session: Session, called: Command): Promise<string> {
  const { targetsDirOf } = await toolchain();
  const env = globalOptions(called).data === undefined ? session.io.env : {};
  const folder = targetsDirOf(session.settings.dataDir, env);
  return isAbsolute(folder) ? folder : join(session.io.cwd, folder);
}

async function stateValue({ recipe, installed }: TargetState) {
  const { installedBytes } = await toolchain();
  return {
    name: recipe.name,
    description: recipe.description,
    installed: installed !== undefined,
    upToDate: installed?.isUpToDate ?? false,
    extras: installed?.extras ?? [],
    availableExtras: Object.keys(recipe.extras),
    sizeBytes: installed === undefined ? null : await installedBytes(installed.folder),
    compiler: installed?.lock.compiler ?? null,
    release: installed?.lock.release ?? null,
  };
}

function stateOf(target: { installed: boolean; upToDate: boolean }): string {
  if (!target.installed) return 'no';
  return target.upToDate ? 'yes' : 'out of date';
}

function addData(command: Command): Command {
  return command.option(
    '--data <dir>',
    'data folder; targets are in its folder "targets" (env SELVEDGE_DATA, SELVEDGE_TARGETS_DIR; default: .selvedge)',
  );
}

function registerList(command: Command, io: Io): void {
  const list = addData(command.command('list'))
    .description('show every known target and what is installed of it')
    .action(async (_options: unknown, called: Command) => {
      const session = await openSession(called, io);
      const { objectCacheBytes, objectCacheLimit, objectsDirOf, readTargets } = await toolchain();
      const folder = await targetsDir(session, called);
      const items = await Promise.all((await readTargets(folder)).map(stateValue));
      const objectCache = { sizeBytes: await objectCacheBytes(objectsDirOf(folder)), limitBytes: objectCacheLimit(io.env) };
      await session.result({ items, objectCache }, () =>
        renderTable(
          ['TARGET', 'INSTALLED', 'EXTRAS', 'SIZE', 'COMPILER', 'FOR'],
          items.map((target) => [
            target.name,
            session.state(stateOf(target)),
            orDash(target.extras.join(',')),
            target.sizeBytes === null ? '-' : formatBytes(target.sizeBytes),
            orDash(target.compiler),
            target.description,
          ]),
        ),
      );
      const { sizeBytes, limitBytes } = objectCache;
      if (sizeBytes > 0) session.note(`Objects that builds compiled take ${formatBytes(sizeBytes)}, at most ${formatBytes(limitBytes)}.`);
      if (items.every((target) => !target.installed)) session.note('None is installed: "selvedge target install NAME" does it.');
    });
  finishLeaf(list, {
    server: false,
    examples: ['selvedge target list', 'selvedge target list -o json'],
    notes:
      'Objects that were not used for the longest time are deleted at the end of a build or an installation when all take more than SELVEDGE_OBJECT_CACHE_MIB (default 1024).',
  });
}

interface InstallFlags {
  extras?: string;
  mirror?: string;
}

async function install(names: readonly string[], flags: InstallFlags, called: Command, io: Io): Promise<void> {
  const session = await openSession(called, io);
  const { installTarget, findRecipe, installedBytes, objectCacheLimit } = await toolchain();
  const folder = await targetsDir(session, called);
  for (const name of names) await findRecipe(name); // a misspelt last name must not be found out minutes later
  const mirror = flags.mirror ?? (io.env.SELVEDGE_DEBIAN_MIRROR || undefined);
  const extras = (flags.extras ?? '').split(',').filter((extra) => extra !== '');
  const items: { name: string; changed: boolean; sizeBytes: number; folder: string }[] = [];
  for (const name of names) {
    const follow = followInstall(session);
    try {
      const { target, changed } = await installTarget(name, {
        targetsDir: folder,
        extras,
        objectCacheBytes: objectCacheLimit(io.env),
        onProgress: follow.onProgress,
        signal: io.signal,
        ...(mirror === undefined ? {} : { mirror }),
      });
      items.push({ name, changed, sizeBytes: await installedBytes(target.folder), folder: target.folder });
    } finally {
      follow.end();
    }
  }
  await session.result({ items }, () =>
    items
      .map((item) => `${item.name} ${item.changed ? 'is installed' : 'was up to date'}: ${formatBytes(item.sizeBytes)} in ${item.folder}`)
      .join('\n'),
  );
}

function registerInstall(command: Command, io: Io): void {
  const leaf = addData(command.command('install <name...>'))
    .description('make it possible to build packages for targets: download, verify, unpack; no root')
    .option('--extras <names>', 'also install these, e.g. opencv,onnxruntime')
    .option('--mirror <url>', 'Debian archive to download from (env SELVEDGE_DEBIAN_MIRROR; default: http://deb.debian.org/debian)')
    .action((names: string[], flags: InstallFlags, called: Command) => install(names, flags, called, io));
  finishLeaf(leaf, {
    server: false,
    examples: ['selvedge target install linux-armv7 linux-amd64', 'selvedge target install linux-arm64 --extras opencv,onnxruntime'],
    notes: 'Interrupted, it goes on where it stopped when it is run again. Every file is checked against the signed index of the archive.',
  });
}

function registerRemove(command: Command, io: Io): void {
  const leaf = addData(command.command('remove <name>'))
    .description('remove a target; with the last one goes the compiler')
    .action(async (name: string, _options: unknown, called: Command) => {
      const session = await openSession(called, io);
      const { removeTarget } = await toolchain();
      const result = await removeTarget(await targetsDir(session, called), name);
      await session.result({ name, ...result }, () => {
        if (!result.removed) return `${name} was not installed`;
        return `${name} is removed${result.compilerRemoved ? ', and with it the compiler' : ''}`;
      });
    });
  finishLeaf(leaf, { server: false, examples: ['selvedge target remove linux-armv7'] });
}

function verdict(result: VerifyResult): string {
  const faults = [...result.damaged.map((path) => `damaged  ${path}`), ...result.missing.map((path) => `missing  ${path}`)];
  const program = { ran: 'a test program was built and ran', built: 'a test program was built', failed: 'a test program FAILED' }[
    result.program.state
  ];
  const reason = result.program.reason === undefined ? '' : ` (${result.program.reason})`;
  return [`${result.target}: ${result.checked} files compared, ${faults.length} faults; ${program}${reason}`, ...faults].join('\n');
}

function registerVerify(command: Command, io: Io): void {
  const leaf = addData(command.command('verify <name...>'))
    .description('compare every installed file with its sha256, then build and run a small program')
    .action(async (names: string[], _options: unknown, called: Command) => {
      const session = await openSession(called, io);
      const { verifyTarget } = await toolchain();
      const folder = await targetsDir(session, called);
      const items: VerifyResult[] = [];
      for (const name of names) items.push(await verifyTarget(folder, name, { signal: io.signal }));
      await session.result({ items }, () => items.map(verdict).join('\n'));
      const bad = items.filter((item) => item.damaged.length + item.missing.length > 0 || item.program.state === 'failed');
      if (bad.length === 0) return;
      const list = bad.map((item) => item.target).join(' ');
      throw new AppError('DIGEST_MISMATCH', {
        message: `What is installed is not as it should be: ${list}.`,
        hint: `Run "selvedge target remove ${bad[0]?.target}", then install it again.`,
      });
    });
  finishLeaf(leaf, { server: false, examples: ['selvedge target verify linux-armv7'] });
}

export function registerTarget(command: Command, io: Io): void {
  registerList(command, io);
  registerInstall(command, io);
  registerRemove(command, io);
  registerVerify(command, io);
}
