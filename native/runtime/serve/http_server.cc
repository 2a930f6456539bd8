#include "serve/http_server.h"

#include <arpa/inet.h>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "serve/connection.h"

namespace selvedge::serve {

namespace {

constexpr int kBacklog = 511;
/// Accepted in one round, so that those who are connected get their turn.
constexpr int kAcceptAtOnce = 64;
/// While draining, a connection that is not given back is closed when it has been silent for this long; a busy client has sent something by then.
constexpr double kDrainIdleMs = 1000;

bool parseAddress(const std::string& host, int port, sockaddr_storage* address, socklen_t* size) {
  std::memset(address, 0, sizeof *address);
  const auto portBytes = htons(static_cast<uint16_t>(port));
  const std::string name = host == "localhost" ? "127.0.0.1" : host;
  auto* four = reinterpret_cast<sockaddr_in*>(address);
  if (inet_pton(AF_INET, name.c_str(), &four->sin_addr) == 1) {
    four->sin_family = AF_INET;
    four->sin_port = portBytes;
    *size = sizeof *four;
    return true;
  }
  auto* six = reinterpret_cast<sockaddr_in6*>(address);
  if (inet_pton(AF_INET6, name.c_str(), &six->sin6_addr) != 1) return false;
  six->sin6_family = AF_INET6;
  six->sin6_port = portBytes;
  *size = sizeof *six;
  return true;
}

int portOf(int fd) {
  sockaddr_storage address{};
  socklen_t size = sizeof address;
  if (getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) != 0) return 0;
  if (address.ss_family == AF_INET6) return ntohs(reinterpret_cast<sockaddr_in6*>(&address)->sin6_port);
  return ntohs(reinterpret_cast<sockaddr_in*>(&address)->sin_port);
}

}  // namespace

HttpServer::HttpServer(event_base* base, const ServeOptions& options, HttpHandler* handler)
    : base_(base),
      options_(options),
      handler_(handler),
      tickEvent_(event_new(base, -1, 0, onTick, this)),
      purgeEvent_(event_new(base, -1, 0, onPurge, this)) {}

HttpServer::~HttpServer() {
  while (!connections_.empty()) connections_.front()->close();
  if (acceptEvent_ != nullptr) event_free(acceptEvent_);
  event_free(tickEvent_);
  event_free(purgeEvent_);
  if (listenFd_ >= 0) ::close(listenFd_);
}

Status HttpServer::listen(const std::string& host, int* port) {
  sockaddr_storage address;
  socklen_t size = 0;
  if (!parseAddress(host, *port, &address, &size))
    return Status::error("INPUT_INVALID", "\"" + host + "\" is not an IPv4 or IPv6 address to listen at.");
  const int fd = socket(address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  const int yes = 1;
  if (fd >= 0) setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
  if (fd < 0 || bind(fd, reinterpret_cast<sockaddr*>(&address), size) != 0 || ::listen(fd, kBacklog) != 0) {
    const int fault = errno;
    if (fd >= 0) ::close(fd);
    const std::string where = host + " port " + std::to_string(*port);
    if (fault == EADDRINUSE) return Status::error("PORT_IN_USE", where + " is taken by another process; choose another --port.");
    return Status::error("INPUT_INVALID", "Cannot listen at " + where + ": " + std::strerror(fault) + ".");
  }
  listenFd_ = fd;
  *port = portOf(fd);
  acceptEvent_ = event_new(base_, fd, EV_READ | EV_PERSIST, onAcceptable, this);
  event_add(acceptEvent_, nullptr);
  return Status::ok();
}

void HttpServer::onAcceptable(evutil_socket_t, short, void* self) { static_cast<HttpServer*>(self)->acceptAll(); }

void HttpServer::acceptAll() {
  for (int count = 0; count < kAcceptAtOnce; ++count) {
    const int fd = accept4(listenFd_, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0) {
      take(fd, Origin::accepted);
      continue;
    }
    if (errno == ECONNABORTED || errno == EINTR) continue;
    // Without room for another descriptor the socket stays readable: somebody has to leave, or the loop would spin.
    if ((errno == EMFILE || errno == ENFILE) && !makeRoom()) usleep(1000);
    return;
  }
}

void HttpServer::take(int fd, Origin origin) {
  const int yes = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
  if (connections_.size() >= static_cast<size_t>(options_.maxConnections) && !makeRoom()) {
    ::close(fd);
    return;
  }
  connections_.push_back(std::make_unique<Connection>(this, fd, origin));
  Connection& connection = *connections_.back();
  connection.place = std::prev(connections_.end());
  if (!connection.start()) connection.close();
  else scheduleTick();
}

/// Closes the connection that can best be spared: first one that has never made a whole request, the oldest of them, then the
/// one that has been silent or slow for longest.
bool HttpServer::makeRoom() {
  constexpr int kNotSpared = 3;
  const auto rank = [](const Connection& connection) {
    const Connection::Phase phase = connection.phase();
    if (phase == Connection::Phase::lingering) return 0;
    if (phase == Connection::Phase::waiting || phase == Connection::Phase::writing) return kNotSpared;
    return connection.isFirst() ? 1 : 2;
  };
  Connection* spared = nullptr;
  for (auto& candidate : connections_) {
    if (rank(*candidate) == kNotSpared) continue;
    const bool isBetter = spared == nullptr || rank(*candidate) < rank(*spared) ||
                          (rank(*candidate) == rank(*spared) && candidate->sinceMs() < spared->sinceMs());
    if (isBetter) spared = candidate.get();
  }
  if (spared == nullptr) return false;
  spared->close();
  return true;
}

void HttpServer::answer(uint64_t id, HttpResponse&& response) {
  const auto found = waiting_.find(id);
  if (found == waiting_.end()) return;
  Connection* connection = found->second;
  waiting_.erase(found);
  connection->answer(std::move(response));
}

void HttpServer::remove(Connection* connection) {
  closed_.splice(closed_.end(), connections_, connection->place);
  event_active(purgeEvent_, 0, 0);
}

void HttpServer::onPurge(evutil_socket_t, short, void* self) {
  auto* server = static_cast<HttpServer*>(self);
  server->closed_.clear();
  server->lookWhetherDrained();
}

void HttpServer::drain(bool stopListening, GiveBack giveBack, std::function<void()> done) {
  draining_ = true;
  giveBack_ = std::move(giveBack);
  drained_ = std::move(done);
  for (auto next = connections_.begin(); next != connections_.end();) giveBackIfSilent((next++)->get());
  if (stopListening && listenFd_ >= 0) {
    acceptAll();  // who has connected before this is answered
    event_free(acceptEvent_);
    acceptEvent_ = nullptr;
    ::close(listenFd_);
    listenFd_ = -1;
  }
  event_active(purgeEvent_, 0, 0);
  scheduleTick();
}

void HttpServer::resume() {
  if (listenFd_ < 0) return;
  draining_ = false;
  giveBack_ = nullptr;
  if (drained_ != nullptr) std::exchange(drained_, nullptr)();
}

void HttpServer::lookWhetherDrained() {
  if (!draining_ || !connections_.empty() || drained_ == nullptr) return;
  const auto done = std::move(drained_);
  drained_ = nullptr;
  done();
}

bool HttpServer::givesBack(const Connection& connection) const { return draining_ && giveBack_ != nullptr && connection.origin() != Origin::accepted; }

void HttpServer::giveBackIfSilent(Connection* connection) {
  if (givesBack(*connection) && connection->isSilent()) giveBack_(connection->detach());
}

double HttpServer::oldestRequestMs() const {
  double first = 0;
  for (const auto& connection : connections_) {
    const double started = connection->waitsSinceMs();
    if (started > 0 && (first == 0 || started < first)) first = started;
  }
  return first == 0 ? 0 : nowMs() - first;
}

void HttpServer::scheduleTick() {
  if (event_pending(tickEvent_, EV_TIMEOUT, nullptr) != 0) return;
  // Ten looks in the shortest of the times; an idle server without connections is never woken.
  const int shortest = std::min({options_.headerTimeoutMs, options_.requestTimeoutMs, options_.idleTimeoutMs});
  const int everyMs = draining_ ? 100 : std::clamp(shortest / 10, 20, 1000);
  const timeval delay{everyMs / 1000, everyMs % 1000 * 1000};
  event_add(tickEvent_, &delay);
}

void HttpServer::onTick(evutil_socket_t, short, void* self) {
  auto* server = static_cast<HttpServer*>(self);
  const double now = nowMs();
  for (auto next = server->connections_.begin(); next != server->connections_.end();) {
    Connection& connection = **next++;
    // Here and not at once, one that comes during the drain: an agent that sends it back here would go round in circles.
    server->giveBackIfSilent(&connection);
    const bool isSilent = connection.phase() == Connection::Phase::idle && now - connection.sinceMs() >= kDrainIdleMs;
    if (server->draining_ && isSilent) connection.close();
    else connection.look(now);
  }
  if (!server->connections_.empty()) server->scheduleTick();
}

}  // namespace selvedge::serve
