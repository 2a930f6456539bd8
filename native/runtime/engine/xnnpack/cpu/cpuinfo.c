// What XNNPACK asks libcpuinfo, answered without it: the library reads /proc/cpuinfo and /sys, which a package must not
// need, and gives up on contents that it does not know. Here the CPU (x86) or the kernel's auxiliary vector (ARM) is asked.
// On other architectures XNNPACK asks the kernel itself, or nobody.
//
// Only the symbols that XNNPACK uses are here, and of cpuinfo_isa only the fields that it reads.
#include <cpuinfo.h>

#include "engine/xnnpack/cpu/features.h"

#if defined(__x86_64__)
struct cpuinfo_x86_isa cpuinfo_isa;
#elif defined(__arm__) || defined(__aarch64__)
struct cpuinfo_arm_isa cpuinfo_isa;
#endif

// One entry stands for all cores. On machines with two kinds of them a thread may move from one to the other at any time,
// so kernels chosen for one kind run on both anyway; the kind decides about speed only, never about which instructions
// are used, because those come from what all cores have in common.
static struct cpuinfo_uarch_info everyUarch = {.uarch = cpuinfo_uarch_unknown};
static struct cpuinfo_core everyCore = {.vendor = cpuinfo_vendor_unknown, .uarch = cpuinfo_uarch_unknown};

bool cpuinfo_initialize(void) {
#if defined(__x86_64__) || defined(__arm__) || defined(__aarch64__)
  selvedgeReadFeatures(&cpuinfo_isa);
  everyUarch.uarch = selvedgeMicroarchitecture();
  everyCore.uarch = everyUarch.uarch;
#endif
  return true;
}

const struct cpuinfo_core* cpuinfo_get_core(uint32_t index) {
  (void)index;
  return &everyCore;
}

const struct cpuinfo_uarch_info* cpuinfo_get_uarch(uint32_t index) {
  (void)index;
  return &everyUarch;
}
