// Stands in for the kernels that a model does not need. XNNPACK asks a function per data type and operator for its
// kernels; the build tool links those of the types and operators that the model lacks to this one, so that neither the
// kernels nor what packs weights for them are in the executable.
namespace selvedge::xnnpack {

/// "This machine has none": XNNPACK answers xnn_status_unsupported_hardware to who asks all the same.
extern "C" const void* selvedgeNoConfig() { return nullptr; }

}  // namespace selvedge::xnnpack
