import { availableParallelism, cpus, release, totalmem, type } from 'node:os';
import type { RunEnvironment } from '@selvedge/contract';

/** What this server runs on and as, for the record of its runs. */
export function runEnvironment(serverVersion: string): RunEnvironment {
  return {
    server: serverVersion,
    node: process.versions.node,
    platform: `${type()} ${release()} ${process.arch}`,
    cpu: cpus()[0]?.model.trim() || process.arch, // some ARM kernels give no name
    threads: availableParallelism(),
    memoryMiB: Math.max(1, Math.round(totalmem() / 2 ** 20)),
  };
}
