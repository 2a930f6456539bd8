// One client: bytes to requests, answers to bytes, one request at a time.
#ifndef SELVEDGE_SERVE_CONNECTION_H
#define SELVEDGE_SERVE_CONNECTION_H

#include <cstdint>
#include <list>
#include <memory>
#include <string>

#include <event2/bufferevent.h>
#include <llhttp.h>

#include "serve/http_message.h"
#include "serve/http_server.h"

namespace selvedge::serve {

class Connection {
 public:
  /// idle: between requests. waiting: the request is whole and not answered. lingering: answered and shut for writing;
  /// what the client still sends is thrown away, for closing at once could take the answer from it.
  enum class Phase { idle, head, body, waiting, writing, lingering, closed };

  Connection(HttpServer* server, int fd, Origin origin);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  /// @returns false when there is no memory for it.
  bool start();
  void answer(HttpResponse&& response);
  /// Closes the connection when its time is up.
  void look(double now);
  void close();
  /// Ends as close() does, and leaves the socket open. @returns the socket; nothing is read from it any more.
  int detach();

  Phase phase() const { return phase_; }
  Origin origin() const { return origin_; }
  /// Nothing is under way, neither here nor to the client.
  bool isSilent() const;
  /// No request of it has been answered yet, here or elsewhere.
  bool isFirst() const { return isFirst_; }
  double sinceMs() const { return sinceMs_; }
  /// Since when a whole request waits for its answer; 0 without one. How long its client took to send it, or takes to read,
  /// does not count: the agent ends a server whose requests wait for too long, and no client may bring that about.
  double waitsSinceMs() const { return phase_ == Phase::waiting ? sinceMs_ : 0; }

  std::list<std::unique_ptr<Connection>>::iterator place;

 private:
  friend struct ParserCallbacks;
  static void onReadable(bufferevent* buffer, void* self);
  static void onWritten(bufferevent* buffer, void* self);
  static void onEvent(bufferevent* buffer, short what, void* self);

  void enter(Phase phase);
  void beginRequest();
  int endHead();
  void noteHeader();
  bool countHead(size_t bytes);
  int takeBody(const char* data, size_t size);
  void refuse(HttpResponse&& response);
  void parse();
  bool parseSome();
  void endRequest();
  void sendBare(int status);
  void send(const HttpResponse& response, bool close);
  void sendBytes(const std::string& head, const std::string& body);
  void afterWriting();
  void releaseBody();

  HttpServer* server_;
  int fd_;
  const Origin origin_;
  bufferevent* buffer_ = nullptr;
  llhttp_t parser_;
  Phase phase_ = Phase::idle;
  double sinceMs_;
  bool isFirst_;
  HttpRequest request_;
  std::string field_, value_;
  size_t headBytes_ = 0;
  int hosts_ = 0;
  bool expectsContinue_ = false, expectsOther_ = false;
  /// Of the request that is read or answered.
  uint64_t id_ = 0;
  double startedAtMs_ = 0;
  bool isHead_ = false, isPost_ = false, keepAlive_ = true, headIsWhole_ = false;
  bool isRefused_ = false, isWhole_ = false;
  int parseError_ = 0;
  HttpResponse refusal_;
  int64_t bodyBytes_ = 0;
  bool closesAfterWriting_ = false, lingers_ = false, sawEnd_ = false;
};

}  // namespace selvedge::serve

#endif
