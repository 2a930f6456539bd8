import { randomUUID } from 'node:crypto';
import { chmod, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { ToolHarness } from './tool-harness.ts';

const PATH = process.env.PATH ?? '';

export function restorePath(): void {
  process.env.PATH = PATH;
}

/**
 * Puts an `nvidia-smi` on the PATH. Machines that run tests have no NVIDIA card, and the driver cannot be had without one; so
 * this is a real program that speaks the format of the real one (driver 535: fields parted by ", ", memory with its unit).
 */
export async function installNvidiaSmi(harness: ToolHarness, script: string): Promise<void> {
  const folder = await harness.folder();
  const path = join(folder, 'nvidia-smi');
  await writeFile(path, `#!/bin/sh\n${script}\n`);
  await chmod(path, 0o755);
  process.env.PATH = `${folder}:${PATH}`;
}

/** Cards of their own for each test: leases are shared by all tools of the machine. */
export async function installCards(harness: ToolHarness, count: number): Promise<string[]> {
  const uuids = Array.from({ length: count }, () => `GPU-${randomUUID()}`);
  const lines = uuids.map((uuid, index) => `${index}, ${uuid}, NVIDIA L4, 23034 MiB`);
  const query = '--query-gpu=index,uuid,name,memory.total --format=csv,noheader';
  await installNvidiaSmi(harness, `[ "$*" = "${query}" ] || { echo "unexpected: $*"; exit 2; }\ncat <<'END'\n${lines.join('\n')}\nEND`);
  return uuids;
}
