// Stands for kernels that the linked model never asks for; see unused-kernels.ts of the build tool.

extern "C" {

const void* selvedgeNoKernel();

/// "This machine has no such kernel", whatever the arguments.
const void* selvedgeNoKernel() { return nullptr; }

}  // extern "C"
