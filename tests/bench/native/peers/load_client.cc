// load_client PORT FILE REQUESTS CONNECTIONS RATE: posts a picture to /v1/infer of this machine over connections that stay open.
// RATE 0: the next request as soon as a connection is free. Else so many a second, evenly; the time of an answer counts from
// when its request was due, so that a server that falls behind cannot hide it.
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "peer_loop.h"

namespace {

double nowMs() {
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

constexpr double kAwakeMs = 0.2;

struct Connection {
  int socket = -1;
  bool busy = false;
  double dueMs = 0;
  size_t sent = 0;
  std::string answer;
};

struct Outcome {
  std::vector<double> times;
  long refused = 0;
  long failed = 0;
};

[[noreturn]] void fail(const char* what) {
  std::perror(what);
  std::exit(1);
}

int connectTo(int port) {
  const int made = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (made < 0 || connect(made, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) fail("connect");
  const int on = 1;
  setsockopt(made, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  fcntl(made, F_SETFL, O_NONBLOCK);
  return made;
}

void sendMore(Connection* connection, const std::string& request) {
  const ssize_t count = send(connection->socket, request.data() + connection->sent, request.size() - connection->sent, MSG_NOSIGNAL);
  if (count > 0) connection->sent += static_cast<size_t>(count);
  else if (count < 0 && errno != EAGAIN && errno != EINTR) fail("send");
}

/// Whether the answer is whole.
bool receive(Connection* connection) {
  char bytes[16384];
  const ssize_t count = recv(connection->socket, bytes, sizeof bytes, 0);
  if (count == 0) fail("the server closed a connection");
  if (count < 0) return false;
  connection->answer.append(bytes, static_cast<size_t>(count));
  const size_t head = connection->answer.find("\r\n\r\n");
  if (head == std::string::npos) return false;
  std::string names = connection->answer.substr(0, head);
  std::transform(names.begin(), names.end(), names.begin(), [](unsigned char letter) { return static_cast<char>(std::tolower(letter)); });
  const size_t at = names.find("content-length:");
  if (at == std::string::npos) fail("an answer without a length");
  const size_t length = static_cast<size_t>(std::atol(names.c_str() + at + 15));
  return connection->answer.size() >= head + 4 + length;
}

void finish(Connection* connection, Outcome* outcome) {
  const int status = std::atoi(connection->answer.c_str() + 9);
  if (status == 200) outcome->times.push_back(nowMs() - connection->dueMs);
  else (status == 429 ? outcome->refused : outcome->failed) += 1;
  connection->busy = false;
}

Outcome load(std::vector<Connection>* connections, const std::string& request, long requests, double rate) {
  Outcome outcome;
  outcome.times.reserve(static_cast<size_t>(requests));
  const double start = nowMs();
  long begun = 0;
  long ended = 0;
  std::vector<pollfd> polled;
  while (ended < requests) {
    double waitMs = 1000;
    for (Connection& connection : *connections) {
      if (connection.busy || begun == requests) continue;
      const double now = nowMs();
      const double due = rate > 0 ? start + static_cast<double>(begun) * 1000 / rate : now;
      if (due > now) {
        // A wake-up is late by what the kernel takes for timers: the last part is waited for awake.
        waitMs = std::max(0.0, due - now - kAwakeMs);
        break;
      }
      connection = {connection.socket, true, due, 0, {}};
      begun += 1;
      sendMore(&connection, request);
    }
    polled.clear();
    for (const Connection& connection : *connections) {
      const bool sends = connection.busy && connection.sent < request.size();
      polled.push_back({connection.socket, static_cast<short>(sends ? POLLIN | POLLOUT : POLLIN), 0});
    }
    const timespec wait = {static_cast<time_t>(waitMs / 1000), static_cast<long>(waitMs * 1e6) % 1'000'000'000L};
    if (ppoll(polled.data(), polled.size(), &wait, nullptr) < 0 && errno != EINTR) fail("poll");
    for (size_t at = 0; at < polled.size(); ++at) {
      Connection& connection = (*connections)[at];
      if ((polled[at].revents & POLLOUT) != 0) sendMore(&connection, request);
      if ((polled[at].revents & (POLLIN | POLLHUP | POLLERR)) == 0 || !receive(&connection)) continue;
      finish(&connection, &outcome);
      ended += 1;
    }
  }
  return outcome;
}

double quantile(const std::vector<double>& sorted, double share) {
  return sorted.empty() ? -1 : sorted[std::min(sorted.size() - 1, static_cast<size_t>(share * static_cast<double>(sorted.size())))];
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 6) return 2;
  std::vector<unsigned char> picture;
  if (!bench::readFile(argv[2], &picture)) fail(argv[2]);
  std::string request = "POST /v1/infer HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: image/jpeg\r\nContent-Length: " + std::to_string(picture.size()) + "\r\n\r\n";
  request.append(reinterpret_cast<const char*>(picture.data()), picture.size());
  std::vector<Connection> connections(static_cast<size_t>(std::max(1, std::atoi(argv[4]))));
  for (Connection& connection : connections) connection.socket = connectTo(std::atoi(argv[1]));
  const double start = nowMs();
  Outcome outcome = load(&connections, request, std::atol(argv[3]), std::atof(argv[5]));
  const double seconds = (nowMs() - start) / 1000;
  std::sort(outcome.times.begin(), outcome.times.end());
  std::printf("{\"seconds\":%.3f,\"answered\":%zu,\"refused\":%ld,\"failed\":%ld,\"p50\":%.4f,\"p90\":%.4f,\"p99\":%.4f,\"most\":%.4f}\n", seconds,
              outcome.times.size(), outcome.refused, outcome.failed, quantile(outcome.times, 0.5), quantile(outcome.times, 0.9),
              quantile(outcome.times, 0.99), quantile(outcome.times, 1));
  return 0;
}
