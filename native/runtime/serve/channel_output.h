// The sending side of the channel to a Node parent: lines in order, and sockets, one at a time.
#ifndef SELVEDGE_SERVE_CHANNEL_OUTPUT_H
#define SELVEDGE_SERVE_CHANNEL_OUTPUT_H

#include <deque>
#include <functional>
#include <string>

#include <event2/event.h>

namespace selvedge::serve {

/// Node takes one socket at a time and says whether it has come; what is sent later waits for that, so that the order holds.
/// Our copy of a socket is open until then: without it a socket that is lost on the way would be closed for its client.
class ChannelOutput {
 public:
  /// @param fd - the channel, not blocking; stays the caller's.
  ChannelOutput(event_base* base, int fd);
  /// Closes the sockets that have not been taken.
  ~ChannelOutput();
  ChannelOutput(const ChannelOutput&) = delete;
  ChannelOutput& operator=(const ChannelOutput&) = delete;

  /// @param json - one message, without the newline.
  void send(const std::string& json);
  /// @param json - the message that comes with the socket. @param socket - closed, not shut down, when the other end has it or
  /// the channel breaks.
  void sendSocket(const std::string& json, int socket);
  /// Says whether a socket of the other end has come. Waits for nothing: two ends that hand over at the same time would both
  /// wait for ever.
  void acknowledge(bool hasCome);
  /// The other end has said whether our socket has come.
  void acknowledged(bool hasCome);
  /// @param then - called once, when no socket is left to be handed over; at once when that is so.
  void whenHandedOver(std::function<void()> then);
  /// Waits until the messages are with the other end's kernel buffer, a second at most; not those behind a socket.
  void flush();

 private:
  struct Line {
    std::string bytes;
    /// Goes with the first byte; -1 without one, or when it has gone.
    int socket;
  };

  static void onWritable(evutil_socket_t fd, short what, void* self);
  void advance();
  void write();
  void closeSocketUnderWay();
  void breakOff();

  int fd_;
  event* writeEvent_;
  std::deque<Line> output_;
  /// Behind the socket that is under way.
  std::deque<Line> held_;
  /// What is sent again when the socket did not come; its socket is -1 when none is under way.
  Line underWay_{"", -1};
  int resent_ = 0;
  bool isBroken_ = false;
  std::function<void()> handedOver_;
};

}  // namespace selvedge::serve

#endif
