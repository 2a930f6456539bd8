import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { AppError } from '@selvedge/contract';

/**
 * Node with what a TypeScript file of a project needs: `@selvedge/tools` is the kit, and types are stripped, by Node itself
 * (22.18 and newer) or by tsx, that of the project or that of a checkout.
 *
 * @param kit - folder of the built kit, or `packages/tools/src`.
 * @param folder - of the file.
 * @throws AppError SETUP_INCOMPLETE (user) when this Node knows no types and there is no tsx.
 */
export function typescriptNode(kit: string, folder: string): string[] {
  const isSource = !existsSync(join(kit, 'host.js'));
  const knowsTypes = 'typescript' in process.features && Boolean(process.features.typescript);
  const loader = knowsTypes && !isSource ? [] : ['--import', findTsx([folder, kit])];
  const hooks = isSource ? 'project-tool/kit-hooks.ts' : 'hooks.js';
  return [process.execPath, ...loader, '--import', pathToFileURL(join(kit, hooks)).href];
}

/** The program that serves a TypeScript file as a tool. */
export function typescriptHost(kit: string): string {
  const built = join(kit, 'host.js');
  return existsSync(built) ? built : join(kit, 'project-tool/host-main.ts');
}

function findTsx(folders: readonly string[]): string {
  for (const folder of folders) {
    try {
      return pathToFileURL(createRequire(join(folder, 'tool.js')).resolve('tsx')).href;
    } catch {
      // not installed there
    }
  }
  throw new AppError('SETUP_INCOMPLETE', {
    message: `Node ${process.version} does not run TypeScript.`,
    hint: `Use Node 22.18 or newer, or run "npm install --save-dev tsx" in ${folders[0]}.`,
  });
}
