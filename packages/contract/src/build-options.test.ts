import { expect, it } from 'vitest';
import { targetOf } from './build-options.ts';

it.each([
  ['x64', 'linux', 'linux-amd64'],
  ['arm', 'linux', 'linux-armv7'],
  ['riscv64', 'linux', 'linux-riscv64'],
  ['x64', 'win32', undefined],
  ['mips', 'linux', undefined],
])('a device of %s with %s runs packages for %s', (arch, platform, target) => {
  expect(targetOf(arch, platform)).toBe(target);
});
