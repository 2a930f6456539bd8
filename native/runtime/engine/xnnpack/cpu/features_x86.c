#include "engine/xnnpack/cpu/features.h"

#if defined(__x86_64__)

#include <cpuid.h>
#include <stdint.h>

// Bits of XCR0 (Intel SDM vol. 1, 13.3): which registers the operating system saves. An instruction set whose registers
// it does not save must not be used, whatever the CPU says.
#define XCR0_YMM 0x06u  // XMM, YMM
#define XCR0_ZMM 0xe6u  // XMM, YMM, opmask, both halves of ZMM

static bool bit(uint32_t value, unsigned index) { return ((value >> index) & 1u) != 0; }

static uint32_t savedRegisters(void) {
  uint32_t low;
  uint32_t high;
  __asm__("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  (void)high;
  return low;
}

static void readLeaf7(struct cpuinfo_x86_isa* isa, bool hasYmm, bool hasZmm) {
  uint32_t a;
  uint32_t b;
  uint32_t c;
  uint32_t d;
  if (!__get_cpuid_count(7, 0, &a, &b, &c, &d)) return;
  const uint32_t subleaves = a;
  isa->avx2 = hasYmm && bit(b, 5);
  isa->avx512f = hasZmm && bit(b, 16);
  isa->avx512dq = hasZmm && bit(b, 17);
  isa->avx512cd = hasZmm && bit(b, 28);
  isa->avx512bw = hasZmm && bit(b, 30);
  isa->avx512vl = hasZmm && bit(b, 31);
  isa->avx512vbmi = hasZmm && bit(c, 1);
  isa->avx512vnni = hasZmm && bit(c, 11);
  isa->gfni = bit(c, 8);
  if (subleaves < 1 || !__get_cpuid_count(7, 1, &a, &b, &c, &d)) return;
  isa->avxvnni = hasYmm && bit(a, 4);
}

void selvedgeReadFeatures(struct cpuinfo_x86_isa* isa) {
  uint32_t a;
  uint32_t b;
  uint32_t c;
  uint32_t d;
  if (!__get_cpuid(1, &a, &b, &c, &d)) return;
  const uint32_t saved = bit(c, 27) ? savedRegisters() : 0;  // OSXSAVE: XGETBV may be used
  const bool hasYmm = (saved & XCR0_YMM) == XCR0_YMM;
  const bool hasZmm = (saved & XCR0_ZMM) == XCR0_ZMM;
  isa->sse3 = bit(c, 0);
  isa->ssse3 = bit(c, 9);
  isa->sse4_1 = bit(c, 19);
  isa->sse4_2 = bit(c, 20);
  isa->avx = hasYmm && bit(c, 28);
  isa->fma3 = hasYmm && bit(c, 12);
  isa->f16c = hasYmm && bit(c, 29);
  readLeaf7(isa, hasYmm, hasZmm);
}

// XNNPACK asks for it on x86 only where GFNI kernels could be chosen, and those are not built in.
enum cpuinfo_uarch selvedgeMicroarchitecture(void) { return cpuinfo_uarch_unknown; }

#endif
