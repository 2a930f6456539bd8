// The channel to a Node parent (child_process with stdio 'ipc'): lines of JSON over a unix socket, sockets beside them.
#ifndef SELVEDGE_SERVE_AGENT_CHANNEL_H
#define SELVEDGE_SERVE_AGENT_CHANNEL_H

#include <deque>
#include <string>

#include <event2/event.h>

namespace selvedge::serve {

/// What the agent wants; see packages/agent/src/domain/model-process-messages.ts.
class AgentOrders {
 public:
  virtual ~AgentOrders() = default;
  /// Owns the socket from here on.
  virtual void takeConnection(int fd) = 0;
  virtual double oldestRequestMs() = 0;
  virtual void drain() = 0;
  /// The agent is gone: whatever is under way has nobody to answer for it any more.
  virtual void parentGone() = 0;
};

class AgentChannel {
 public:
  AgentChannel(event_base* base, int fd, AgentOrders* orders);
  ~AgentChannel();
  AgentChannel(const AgentChannel&) = delete;
  AgentChannel& operator=(const AgentChannel&) = delete;

  /// @param json - one message, without the newline.
  void send(const std::string& json);
  /// Waits until the messages are with the agent's kernel buffer, a second at most: before the process ends.
  void flush();

 private:
  static void onReadable(evutil_socket_t fd, short what, void* self);
  static void onWritable(evutil_socket_t fd, short what, void* self);
  /// @returns false when the channel is closed.
  bool receive();
  void obey(const std::string& line);
  void obeyMessage(const std::string& type, int handle);
  void write();

  int fd_;
  AgentOrders* orders_;
  event* readEvent_;
  event* writeEvent_;
  std::string input_, output_;
  /// Sockets that have come and whose message has not.
  std::deque<int> handles_;
};

}  // namespace selvedge::serve

#endif
