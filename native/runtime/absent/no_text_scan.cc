// libjpeg reads an environment variable with sscanf, and libevent's writer of dates takes time zones: nobody here wants
// either, and they would be 80 kB.
#include <cstdlib>
#include <ctime>

extern "C" {

int __isoc99_sscanf(const char*, const char*, ...);
int __isoc23_sscanf(const char*, const char*, ...);

/// As of a text that holds nothing.
int __isoc99_sscanf(const char*, const char*, ...) { return -1; }
int __isoc23_sscanf(const char*, const char*, ...) { return -1; }

tm* gmtime_r(const time_t*, tm*) noexcept { std::abort(); }

}  // extern "C"
