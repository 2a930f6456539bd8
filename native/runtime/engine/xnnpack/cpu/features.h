// Instruction sets and micro-architecture of the CPU that the program runs on, for cpuinfo.c.
#pragma once

#include <cpuinfo.h>

/// Micro-architecture where it can be told without /proc, else cpuinfo_uarch_unknown. Decides about speed only.
enum cpuinfo_uarch selvedgeMicroarchitecture(void);

#if defined(__x86_64__)
/// Sets what the CPU has and the operating system saves on a task switch.
void selvedgeReadFeatures(struct cpuinfo_x86_isa* isa);
#elif defined(__arm__) || defined(__aarch64__)
/// Sets what the kernel reports as common to all cores.
void selvedgeReadFeatures(struct cpuinfo_arm_isa* isa);
#endif
