#include "engine/xnnpack/cpu/features.h"

#if defined(__arm__) || defined(__aarch64__)

#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/auxv.h>

static bool bit(unsigned long value, unsigned index) { return ((value >> index) & 1ul) != 0; }

#if defined(__aarch64__)

// Bits of AT_HWCAP and AT_HWCAP2 (Linux: arch/arm64/include/uapi/asm/hwcap.h), which are part of its ABI.
#define HAS_CPUID 11

void selvedgeReadFeatures(struct cpuinfo_arm_isa* isa) {
  const unsigned long caps = getauxval(AT_HWCAP);
  const unsigned long more = getauxval(AT_HWCAP2);
  isa->aes = bit(caps, 3);
  isa->pmull = bit(caps, 4);
  isa->sha1 = bit(caps, 5);
  isa->sha2 = bit(caps, 6);
  isa->crc32 = bit(caps, 7);
  isa->atomics = bit(caps, 8);
  isa->fp16arith = bit(caps, 9) && bit(caps, 10);  // scalar and vector
  isa->rdm = bit(caps, 12);
  isa->jscvt = bit(caps, 13);
  isa->fcma = bit(caps, 14);
  isa->dot = bit(caps, 20);
  isa->fhm = bit(caps, 23);
  isa->i8mm = bit(more, 13);
  isa->bf16 = bit(more, 14);
  // SVE and SME stay false: no kernel that is built in uses them.
}

struct Part {
  uint16_t implementer;
  uint16_t number;
  enum cpuinfo_uarch uarch;
};

// Main ID register: implementer and part number as the makers document them. Cores that XNNPACK has kernels for.
static const struct Part kParts[] = {
    {0x41, 0xd01, cpuinfo_uarch_cortex_a32},  {0x41, 0xd03, cpuinfo_uarch_cortex_a53},
    {0x41, 0xd04, cpuinfo_uarch_cortex_a35},  {0x41, 0xd05, cpuinfo_uarch_cortex_a55},
    {0x41, 0xd07, cpuinfo_uarch_cortex_a57},  {0x41, 0xd08, cpuinfo_uarch_cortex_a72},
    {0x41, 0xd09, cpuinfo_uarch_cortex_a73},  {0x41, 0xd0a, cpuinfo_uarch_cortex_a75},
    {0x41, 0xd0b, cpuinfo_uarch_cortex_a76},  {0x41, 0xd0c, cpuinfo_uarch_neoverse_n1},
    {0x41, 0xd0d, cpuinfo_uarch_cortex_a77},  {0x41, 0xd0e, cpuinfo_uarch_cortex_a76},
    {0x41, 0xd40, cpuinfo_uarch_neoverse_v1}, {0x41, 0xd41, cpuinfo_uarch_cortex_a78},
    {0x41, 0xd44, cpuinfo_uarch_cortex_x1},   {0x41, 0xd46, cpuinfo_uarch_cortex_a510},
    {0x41, 0xd47, cpuinfo_uarch_cortex_a710}, {0x41, 0xd48, cpuinfo_uarch_cortex_x2},
    {0x41, 0xd49, cpuinfo_uarch_neoverse_n2}, {0x41, 0xd4d, cpuinfo_uarch_cortex_a715},
    {0x41, 0xd4e, cpuinfo_uarch_cortex_x3},   {0x41, 0xd4f, cpuinfo_uarch_neoverse_v2},
    {0x51, 0x800, cpuinfo_uarch_cortex_a73},  {0x51, 0x801, cpuinfo_uarch_cortex_a53},
    {0x51, 0x802, cpuinfo_uarch_cortex_a75},  {0x51, 0x803, cpuinfo_uarch_cortex_a55r0},
    {0x51, 0x804, cpuinfo_uarch_cortex_a76},  {0x51, 0x805, cpuinfo_uarch_cortex_a55},
};

enum cpuinfo_uarch selvedgeMicroarchitecture(void) {
  // The register belongs to the kernel; with this bit Linux answers the read for programs.
  if (!bit(getauxval(AT_HWCAP), HAS_CPUID)) return cpuinfo_uarch_unknown;
  uint64_t midr;
  __asm__("mrs %0, MIDR_EL1" : "=r"(midr));
  const uint32_t implementer = (uint32_t)(midr >> 24) & 0xffu;
  const uint32_t number = (uint32_t)(midr >> 4) & 0xfffu;
  const uint32_t variant = (uint32_t)(midr >> 20) & 0xfu;
  for (size_t i = 0; i < sizeof kParts / sizeof kParts[0]; ++i) {
    if (kParts[i].implementer != implementer || kParts[i].number != number) continue;
    // The first revision of the A55 issues 64-bit loads more slowly and has kernels of its own.
    const bool isFirstA55 = kParts[i].uarch == cpuinfo_uarch_cortex_a55 && variant == 0;
    return isFirstA55 ? cpuinfo_uarch_cortex_a55r0 : kParts[i].uarch;
  }
  return cpuinfo_uarch_unknown;
}

#else

static bool isArmv8(unsigned long more) {
  if (more != 0) return true;  // crypto and CRC came with ARMv8
  const unsigned long address = getauxval(AT_PLATFORM);
  return address != 0 && strncmp((const char*)(uintptr_t)address, "v8", 2) == 0;
}

// Bits of AT_HWCAP (Linux: arch/arm/include/uapi/asm/hwcap.h), which are part of its ABI.
void selvedgeReadFeatures(struct cpuinfo_arm_isa* isa) {
  const unsigned long caps = getauxval(AT_HWCAP);
  const bool hasVfp4 = bit(caps, 16);
  isa->thumb = true;
  isa->thumb2 = true;
  isa->armv5e = true;
  isa->armv6 = true;
  isa->armv6k = true;
  isa->armv7 = true;  // the program itself is compiled for it
  isa->armv8 = isArmv8(getauxval(AT_HWCAP2));
  isa->vfpv2 = bit(caps, 6);
  isa->neon = bit(caps, 12);
  isa->vfpv3 = bit(caps, 13) || hasVfp4;
  isa->d32 = bit(caps, 19) || isa->neon;
  isa->idiv = bit(caps, 17) && bit(caps, 18);
  isa->fma = hasVfp4;
  isa->fp16 = hasVfp4;  // conversions; older cores may have them too, but Linux does not tell
  isa->fp16arith = bit(caps, 22) && bit(caps, 23);
  isa->dot = bit(caps, 24);
  isa->fhm = bit(caps, 25);
}

// The 32-bit kernel shows the main ID register in /proc only.
enum cpuinfo_uarch selvedgeMicroarchitecture(void) { return cpuinfo_uarch_unknown; }

#endif
#endif
