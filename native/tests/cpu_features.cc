// Prints what the CPU shim tells XNNPACK, one word each, for tests that know what a core has.
#include <cpuinfo.h>

#include <cstdio>

int main() {
  if (!cpuinfo_initialize()) return 1;
  struct Feature {
    const char* name;
    bool present;
  };
  const Feature features[] = {
#if defined(__x86_64__)
      {"ssse3", cpuinfo_has_x86_ssse3()},
      {"sse4_1", cpuinfo_has_x86_sse4_1()},
      {"avx", cpuinfo_has_x86_avx()},
      {"f16c", cpuinfo_has_x86_f16c()},
      {"fma", cpuinfo_has_x86_fma3()},
      {"avx2", cpuinfo_has_x86_avx2()},
      {"avx_vnni", cpuinfo_has_x86_avxvnni()},
      {"avx512f", cpuinfo_has_x86_avx512f()},
      {"avx512bw", cpuinfo_has_x86_avx512bw()},
      {"avx512dq", cpuinfo_has_x86_avx512dq()},
      {"avx512vl", cpuinfo_has_x86_avx512vl()},
      {"avx512vbmi", cpuinfo_has_x86_avx512vbmi()},
      {"avx512_vnni", cpuinfo_has_x86_avx512vnni()},
#else
      {"neon", cpuinfo_has_arm_neon()},
      {"vfpv3", cpuinfo_has_arm_vfpv3()},
      {"neon-fma", cpuinfo_has_arm_neon_fma()},
      {"neon-fp16", cpuinfo_has_arm_neon_fp16()},
      {"neon-v8", cpuinfo_has_arm_neon_v8()},
      {"fp16-arith", cpuinfo_has_arm_neon_fp16_arith()},
      {"dot", cpuinfo_has_arm_neon_dot()},
      {"i8mm", cpuinfo_has_arm_i8mm()},
#endif
  };
  for (const Feature& feature : features) {
    if (feature.present) std::printf("%s ", feature.name);
  }
  std::printf("uarch=%#x\n", static_cast<unsigned>(cpuinfo_get_uarch(0)->uarch));
  return 0;
}
