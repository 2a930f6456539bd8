// HTTP/1.1 over one event loop: libevent watches the sockets, llhttp parses, this bounds what a client can take.
#ifndef SELVEDGE_SERVE_HTTP_SERVER_H
#define SELVEDGE_SERVE_HTTP_SERVER_H

#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <string>
#include <unordered_map>

#include <event2/event.h>

#include "base/status.h"
#include "serve/http_message.h"
#include "serve/server.h"

namespace selvedge::serve {

class Connection;

/// What is asked; called on the loop's thread, must not block.
class HttpHandler {
 public:
  virtual ~HttpHandler() = default;
  /// The head is whole, nothing of the body read. @returns true when `*response` answers it already.
  virtual bool refuse(const HttpRequest& head, HttpResponse* response) = 0;
  /// The request is whole. @returns true when `*response` answers it; false when HttpServer::answer() will.
  virtual bool handle(HttpRequest&& request, HttpResponse* response) = 0;
  /// The client of a request that handle() kept has gone; nobody waits for its answer.
  virtual void gone(uint64_t id) = 0;
  /// A request has got its answer (status 499: its client had gone).
  virtual void answered(bool isPost, int status, double milliseconds) = 0;
};

/// Owns the listening socket and the connections.
///
/// A client costs a file descriptor and some kB until its request is whole. What bounds it: connections (a newcomer takes
/// the place of one that has not made a request yet, else of the one that has been silent for longest), 16 KiB of head,
/// deadlines for head, request, answer and silence that no trickle of bytes prolongs, and a sum of body bytes over all
/// connections.
class HttpServer {
 public:
  HttpServer(event_base* base, const ServeOptions& options, HttpHandler* handler);
  ~HttpServer();
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

  /// @param port - the actual one is written back. @returns PORT_IN_USE, INPUT_INVALID (no such address).
  Status listen(const std::string& host, int* port);
  /// Serves a connection that another process accepted and did not read from. Owns `fd`.
  void take(int fd);
  /// The answer to a request that handle() kept; ignored when its client has gone.
  void answer(uint64_t id, HttpResponse&& response);
  /// From now on each answer closes its connection, and silent connections are closed after a second.
  /// @param done - called once, when no connection is left. @param stopListening - false: new ones are answered once each.
  void drain(bool stopListening, std::function<void()> done);
  /// How long the oldest of the requests that wait for their answer has waited; 0 when there is none.
  double oldestRequestMs() const;

 private:
  friend class Connection;
  static void onAcceptable(evutil_socket_t fd, short what, void* self);
  static void onTick(evutil_socket_t fd, short what, void* self);
  static void onPurge(evutil_socket_t fd, short what, void* self);
  void acceptAll();
  bool makeRoom();
  void remove(Connection* connection);
  void scheduleTick();
  void lookWhetherDrained();

  event_base* base_;
  const ServeOptions options_;
  HttpHandler* handler_;
  int listenFd_ = -1;
  event* acceptEvent_ = nullptr;
  event* tickEvent_;
  event* purgeEvent_;
  std::list<std::unique_ptr<Connection>> connections_;
  /// Closed inside their own callbacks; freed in the next round of the loop.
  std::list<std::unique_ptr<Connection>> closed_;
  std::unordered_map<uint64_t, Connection*> waiting_;
  int64_t bufferedBytes_ = 0;
  uint64_t lastId_ = 0;
  bool draining_ = false;
  std::function<void()> drained_;
};

}  // namespace selvedge::serve

#endif
