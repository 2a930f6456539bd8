import { testTarget } from './harness/targets.ts';

/** Downloads and unpacks what all native tests build for, before the clock of the first one runs. */
export async function setup(): Promise<void> {
  for (const name of ['linux-amd64', 'linux-armv7', 'linux-arm64', 'linux-riscv64']) await testTarget(name);
}
