import { runProgram } from '@selvedge/toolchain';

interface CoreFacts {
  readonly architecture: number;
  readonly variant: string;
  readonly part: string;
  readonly revision: number;
  readonly features: string;
}

const ARMV7 = 'half thumb fastmult vfp edsp neon vfpv3 tls vfpv4 idiva idivt vfpd32 lpae evtstrm';
const ARMV8_0 = 'fp asimd evtstrm crc32 cpuid';
const ARMV8_2 = 'fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm lrcpc dcpop asimddp';

/** As a Raspberry Pi 2, 3, 4 and 5 describe themselves. */
const CORES = {
  'cortex-a7': { architecture: 7, variant: '0x0', part: '0xc07', revision: 5, features: ARMV7 },
  'cortex-a53': { architecture: 8, variant: '0x0', part: '0xd03', revision: 4, features: ARMV8_0 },
  'cortex-a72': { architecture: 8, variant: '0x0', part: '0xd08', revision: 3, features: ARMV8_0 },
  'cortex-a76': { architecture: 8, variant: '0x4', part: '0xd0b', revision: 1, features: ARMV8_2 },
} as const satisfies Record<string, CoreFacts>;

/** A core whose /proc/cpuinfo is known. */
export type DescribedCore = keyof typeof CORES;

export function isDescribedCore(name: string): name is DescribedCore {
  return Object.hasOwn(CORES, name);
}

/** Text of /proc/cpuinfo on a device with four such cores. */
function cpuinfo({ architecture, variant, part, revision, features }: CoreFacts): string {
  const processor = (index: number) =>
    [
      `processor\t: ${index}`,
      'BogoMIPS\t: 38.40',
      `Features\t: ${features}`,
      'CPU implementer\t: 0x41',
      `CPU architecture: ${architecture}`,
      `CPU variant\t: ${variant}`,
      `CPU part\t: ${part}`,
      `CPU revision\t: ${revision}`,
    ].join('\n');
  return `${[0, 1, 2, 3].map(processor).join('\n\n')}\n\n`;
}

/** Words in front of a command that give it a view of the file system of its own: as root, or where users may have name spaces. */
export function inOwnMounts(): string[] {
  return ['unshare', ...(process.getuid?.() === 0 ? [] : ['--map-root-user']), '--mount'];
}

/** The mount keeps the file after it is removed. */
const SCRIPT = 'f=$(mktemp) && printf %s "$1" > "$f" && mount --bind "$f" /proc/cpuinfo && rm "$f" && shift && exec "$@"';

/**
 * Words in front of a command that give it, and what it starts, the /proc/cpuinfo of a core.
 *
 * An emulator shows the machine's own. Programs that read it to learn what their core can do, as ONNX Runtime does on ARM,
 * find none of what they look for and end in a segmentation fault.
 */
export function withCpuinfo(core: DescribedCore): string[] {
  return [...inOwnMounts(), '/bin/sh', '-c', SCRIPT, 'sh', cpuinfo(CORES[core])];
}

/** Whether this user may give a command another /proc/cpuinfo; in a container usually not. */
export async function canReplaceCpuinfo(signal?: AbortSignal): Promise<boolean> {
  const words = [...withCpuinfo('cortex-a53'), '/bin/true'];
  const { exitCode } = await runProgram('/usr/bin/env', words, {
    cwd: '/',
    timeoutMs: 10_000,
    ...(signal === undefined ? {} : { signal }),
  });
  return exitCode === 0;
}
