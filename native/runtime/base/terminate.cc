// What happens to an exception that nobody catches: the process ends at once. The handler of the C++ library, which this
// one replaces, would print its name first, and brings a demangler and the formatting of wide characters with it.
#include <cstdlib>

namespace __gnu_cxx {

void __verbose_terminate_handler() { std::abort(); }

}  // namespace __gnu_cxx
