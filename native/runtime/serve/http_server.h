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

/// Where a connection comes from.
///
/// accepted: at the own port. handed: another process accepted it, and nothing was read from it. kept: so too, but its client
/// has had answers elsewhere, and may be silent for as long as between two requests.
enum class Origin { accepted, handed, kept };

/// Takes over a connection that is silent between two requests; nothing that its client sends from then on is read here.
using GiveBack = std::function<void(int fd)>;

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
  /// Serves a connection. Owns `fd`.
  void take(int fd, Origin origin);
  /// The answer to a request that handle() kept; ignored when its client has gone.
  void answer(uint64_t id, HttpResponse&& response);
  /// From now on each answer closes its connection, and silent connections are closed after a second.
  /// @param stopListening - false: new ones are answered once each.
  /// @param giveBack - of those that another process accepted, none is closed: it gets them back as soon as they are silent. Those
  ///   of the own port were made to reach this process and no other. nullptr: without this difference.
  /// @param done - called once, when no connection is left.
  void drain(bool stopListening, GiveBack giveBack, std::function<void()> done);
  /// Ends a drain that has not stopped listening: connections are kept again. Who waits for that drain is told that it is done.
  void resume();
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
  /// Whether the connection is given back, now or after its answer.
  bool givesBack(const Connection& connection) const;
  void giveBackIfSilent(Connection* connection);
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
  GiveBack giveBack_;
  std::function<void()> drained_;
};

}  // namespace selvedge::serve

#endif
