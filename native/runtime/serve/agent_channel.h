// The channel to a Node parent (child_process with stdio 'ipc'): lines of JSON over a unix socket, sockets beside them.
#ifndef SELVEDGE_SERVE_AGENT_CHANNEL_H
#define SELVEDGE_SERVE_AGENT_CHANNEL_H

#include <deque>
#include <string>

#include <event2/event.h>
#include <rapidjson/document.h>

#include "serve/channel_output.h"

namespace selvedge::serve {

/// What the agent wants; see packages/agent/src/domain/model-process-messages.ts.
class AgentOrders {
 public:
  virtual ~AgentOrders() = default;
  /// Owns the socket from here on. @param isKept - its client has had answers of another process.
  virtual void takeConnection(int fd, bool isKept) = 0;
  virtual double oldestRequestMs() = 0;
  /// @param givesBack - the agent takes silent connections back; otherwise they are closed.
  virtual void drain(bool givesBack) = 0;
  /// Ends a drain: it gets traffic again.
  virtual void resume() = 0;
  /// The agent is gone: whatever is under way has nobody to answer for it any more.
  virtual void parentGone() = 0;
};

class AgentChannel {
 public:
  AgentChannel(event_base* base, int fd, AgentOrders* orders);
  ~AgentChannel();
  AgentChannel(const AgentChannel&) = delete;
  AgentChannel& operator=(const AgentChannel&) = delete;

  ChannelOutput& output() { return output_; }

 private:
  static void onReadable(evutil_socket_t fd, short what, void* self);
  /// @returns false when the channel is closed.
  bool receive();
  void obey(const std::string& line);
  void obeyMessage(const rapidjson::Value& message, int handle);

  int fd_;
  AgentOrders* orders_;
  event* readEvent_;
  ChannelOutput output_;
  std::string input_;
  /// Sockets that have come and whose message has not.
  std::deque<int> handles_;
};

}  // namespace selvedge::serve

#endif
