const ARMV7 = `processor	: 0
model name	: ARMv7 Processor rev 5 (v7l)
BogoMIPS	: 38.40
Features	: half thumb fastmult vfp edsp neon vfpv3 tls vfpv4 idiva idivt vfpd32 lpae
CPU implementer	: 0x41
CPU architecture: 7
CPU variant	: 0x0
CPU part	: 0xc07
CPU revision	: 5

Hardware	: Generic
`;

function armv8(features: string, part: string): string {
  return `processor	: 0
BogoMIPS	: 108.00
Features	: ${features}
CPU implementer	: 0x41
CPU architecture: 8
CPU variant	: 0x0
CPU part	: ${part}
CPU revision	: 3

`;
}

/** /proc/cpuinfo of a machine with one such core: what qemu-user shows is that of this machine. */
export function cpuinfoOf(cpu: 'cortex-a7' | 'cortex-a53' | 'cortex-a76'): string {
  if (cpu === 'cortex-a7') return ARMV7;
  const base = 'fp asimd evtstrm aes pmull sha1 sha2 crc32';
  return cpu === 'cortex-a53' ? armv8(base, '0xd03') : armv8(`${base} atomics fphp asimdhp cpuid asimdrdm lrcpc dcpop asimddp`, '0xd0b');
}
