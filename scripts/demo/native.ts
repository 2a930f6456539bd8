import { access, constants } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import {
  API_VERSION,
  AppError,
  type Client,
  type ModelVersion,
  type Package,
  packageName,
  packageSchema,
  targetOf,
} from '@selvedge/contract';
import { waitUntil } from '@selvedge/runtime';
import type { DevicePlatform } from './device-platform.ts';
import { ROOT } from './processes.ts';
import type { DemoContext } from './steps.ts';

/** Where `selvedge target install` puts toolchains when it is called in this folder: shared by the demo and by `selvedge up`. */
export const TARGETS_DIR = process.env.SELVEDGE_TARGETS_DIR ?? join(ROOT, '.selvedge/targets');

const ARMV7 = 'linux-armv7';
const ARM_EMULATOR = 'qemu-arm-static';
const BUILD_MS = 180_000;

async function findProgram(name: string): Promise<string | undefined> {
  for (const folder of (process.env.PATH ?? '').split(delimiter)) {
    const path = join(folder, name);
    try {
      await access(path, constants.X_OK);
      return path;
    } catch {
      // not in this folder
    }
  }
  return undefined;
}

/**
 * What each device is: this machine, but for the second one, which is an ARMv7 device under qemu where both its toolchain
 * and the emulator are there. Empty without a toolchain.
 */
export async function planPlatforms(api: Client, devices: readonly string[]): Promise<Map<string, DevicePlatform>> {
  const { items } = await api.listTargets();
  const installed = items.filter((target) => target.installed).map(({ name }) => name);
  const own = targetOf(process.arch, process.platform);
  const emulator = installed.includes(ARMV7) && own !== ARMV7 ? await findProgram(ARM_EMULATOR) : undefined;
  const platforms = new Map<string, DevicePlatform>();
  devices.forEach((device, index) => {
    if (index === 1 && emulator !== undefined) platforms.set(device, { target: ARMV7, emulator });
    else if (own !== undefined && installed.includes(own)) platforms.set(device, { target: own, emulator: undefined });
  });
  return platforms;
}

/** What a toolchain would give, in one line. */
export function withoutToolchain(): string {
  const own = targetOf(process.arch, process.platform) ?? 'linux-arm64';
  return `no toolchain, so devices run the model server; "npx selvedge target install ${own} ${ARMV7}" gives executables of 2 MB`;
}

/** Builds the version's package for every target that a device has, and waits until all are ready. */
export async function buildPackages(
  context: DemoContext,
  version: ModelVersion,
  platforms: ReadonlyMap<string, DevicePlatform>,
): Promise<Package[]> {
  const { api, signal } = context;
  const { model, version: number } = version.spec;
  const targets = [...new Set([...platforms.values()].map(({ target }) => target))];
  const names = targets.map((target) => packageName(model, number, target));
  await api.apply({
    body: {
      documents: targets.map((target) => ({
        apiVersion: API_VERSION,
        kind: 'Package' as const,
        metadata: { name: packageName(model, number, target) },
        spec: { model, version: number, target },
      })),
    },
  });
  return waitUntil(
    async () => {
      const packages: Package[] = [];
      for (const name of names) packages.push(packageSchema.parse(await api.getResource({ params: { plural: 'packages', name } })));
      context.progress(packages.map(({ spec, status }) => `${spec.target} ${status.message || status.phase.toLowerCase()}`).join(', '));
      const failed = packages.find(({ status }) => status.phase === 'Failed');
      if (failed !== undefined) {
        const { message, hint } = failed.status.error ?? { message: failed.status.message, hint: undefined };
        throw new AppError('BUILD_FAILED', { message, ...(hint === undefined ? {} : { hint }) });
      }
      return packages.every(({ status }) => status.phase === 'Ready') ? packages : undefined;
    },
    { timeoutMs: BUILD_MS, intervalMs: 200, what: 'the native packages', signal },
  );
}

export function describePackages(packages: readonly Package[]): string {
  const sizes = packages.map(({ spec, status }) => {
    const bytes = status.manifest?.files.reduce((sum, file) => sum + file.sizeBytes, 0) ?? 0;
    return `${spec.target} ${(bytes / 1e6).toFixed(1)} MB`;
  });
  return sizes.join(', ');
}
