// libevent's utility object refers to the name service, although nothing here looks up a name. glibc's would add a quarter of
// a megabyte to a static executable, and would not work in it without shared libraries: these stand in its place.
#include <netdb.h>

extern "C" {

int getaddrinfo(const char*, const char*, const addrinfo*, addrinfo** result) {
  *result = nullptr;
  return EAI_FAIL;
}

void freeaddrinfo(addrinfo*) noexcept {}

const char* gai_strerror(int) noexcept { return "names are not looked up"; }

int getnameinfo(const sockaddr*, socklen_t, char*, socklen_t, char*, socklen_t, int) { return EAI_FAIL; }

servent* getservbyname(const char*, const char*) { return nullptr; }

protoent* getprotobynumber(int) { return nullptr; }

}  // extern "C"
