// The sending side of the agent's channel against a socket pair: what a Node parent does not show.
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <string>
#include <sys/socket.h>
#include <unistd.h>

#include <event2/event.h>

#include "serve/channel_output.h"
#include "tests/check.h"

namespace {

using namespace selvedge;
using serve::ChannelOutput;

const std::string kAck = "{\"cmd\":\"NODE_HANDLE_ACK\"}\n";

std::string handleLine(const char* json) { return std::string("{\"cmd\":\"NODE_HANDLE\",\"type\":\"net.Socket\",\"msg\":") + json + "}\n"; }

struct Received {
  std::string text;
  int sockets = 0;
};

/// A channel, and a connection with its client to be sent over it.
struct Rig {
  event_base* base = event_base_new();
  int channel[2] = {-1, -1};
  int connection = -1, client = -1;
  ChannelOutput* output = nullptr;

  Rig() {
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, channel) != 0) CHECK(false);
    newConnection();
    output = new ChannelOutput(base, channel[0]);
  }
  ~Rig() {
    delete output;
    event_base_free(base);
    for (int fd : {channel[0], channel[1], client})
      if (fd >= 0) close(fd);
  }
  Rig(const Rig&) = delete;
  Rig& operator=(const Rig&) = delete;

  void newConnection() {
    int pair[2] = {-1, -1};
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair) != 0) CHECK(false);
    if (client >= 0) close(client);
    connection = pair[0];
    client = pair[1];
  }
  /// All that waits at the other end; the sockets are closed.
  Received receive() const {
    Received all;
    char text[4096];
    alignas(cmsghdr) char control[CMSG_SPACE(16 * sizeof(int))];
    for (;;) {
      iovec part{text, sizeof text};
      msghdr message{};
      message.msg_iov = &part;
      message.msg_iovlen = 1;
      message.msg_control = control;
      message.msg_controllen = sizeof control;
      const ssize_t size = recvmsg(channel[1], &message, MSG_CMSG_CLOEXEC);
      if (size <= 0) return all;
      all.text.append(text, static_cast<size_t>(size));
      const cmsghdr* header = CMSG_FIRSTHDR(&message);
      if (header == nullptr || header->cmsg_type != SCM_RIGHTS) continue;
      int socket = -1;
      std::memcpy(&socket, CMSG_DATA(header), sizeof socket);
      all.sockets += static_cast<int>((header->cmsg_len - CMSG_LEN(0)) / sizeof(int));
      close(socket);
    }
  }
  /// Whether nobody holds the connection any more.
  bool isClosedForClient() const {
    char byte = 0;
    return read(client, &byte, 1) == 0;
  }
};

bool isOpen(int fd) { return fcntl(fd, F_GETFD) >= 0; }

void testOneAtATime() {
  Rig rig;
  const int first = rig.connection;
  rig.output->send("1");
  rig.output->sendSocket("2", first);
  rig.newConnection();
  const int second = rig.connection;
  rig.output->sendSocket("3", second);
  rig.output->send("4");
  Received got = rig.receive();
  CHECK_EQ(got.text, "1\n" + handleLine("2"));
  CHECK_EQ(got.sockets, 1);
  CHECK(isOpen(first));
  // Our own acknowledgements pass what waits.
  rig.output->acknowledge(true);
  rig.output->acknowledge(false);
  CHECK_EQ(rig.receive().text, kAck + "{\"cmd\":\"NODE_HANDLE_NACK\"}\n");
  int handedOver = 0;
  rig.output->whenHandedOver([&handedOver] { ++handedOver; });
  rig.output->acknowledged(true);
  CHECK(!isOpen(first));
  got = rig.receive();
  CHECK_EQ(got.text, handleLine("3"));
  CHECK_EQ(got.sockets, 1);
  CHECK_EQ(handedOver, 0);
  CHECK(isOpen(second) && !rig.isClosedForClient());
  rig.output->acknowledged(true);
  CHECK_EQ(rig.receive().text, std::string("4\n"));
  CHECK_EQ(handedOver, 1);
  CHECK(!isOpen(second) && rig.isClosedForClient());
  rig.output->acknowledged(true);  // nothing is under way
  rig.output->whenHandedOver([&handedOver] { ++handedOver; });
  CHECK_EQ(handedOver, 2);
}

void testLostOnTheWay() {
  Rig rig;
  rig.output->sendSocket("1", rig.connection);
  rig.output->send("2");
  for (int times = 0; times < 4; ++times) {
    const Received got = rig.receive();
    CHECK_EQ(got.text, handleLine("1"));
    CHECK_EQ(got.sockets, 1);
    CHECK(!rig.isClosedForClient());
    rig.output->acknowledged(false);
  }
  // Given up: sent once and three times again, as Node does.
  const Received got = rig.receive();
  CHECK_EQ(got.text, std::string("2\n"));
  CHECK_EQ(got.sockets, 0);
  CHECK(rig.isClosedForClient());
}

void testFullChannel() {
  Rig rig;
  const std::string line(1000, 'x');
  std::string expected;
  for (int times = 0; times < 2000; ++times) {
    rig.output->send(line);
    expected += line + '\n';
  }
  rig.output->sendSocket("1", rig.connection);
  expected += handleLine("1");
  Received all = rig.receive();
  CHECK(all.text.size() < expected.size());
  for (int rounds = 0; rounds < 10'000 && all.sockets == 0; ++rounds) {
    event_base_loop(rig.base, EVLOOP_NONBLOCK);
    const Received more = rig.receive();
    all.text += more.text;
    all.sockets += more.sockets;
  }
  CHECK(all.text == expected);
  CHECK_EQ(all.sockets, 1);
  rig.output->acknowledged(true);
  CHECK(rig.isClosedForClient());
}

void testBrokenChannel() {
  Rig rig;
  const int first = rig.connection;
  rig.output->sendSocket("1", first);
  rig.newConnection();
  const int second = rig.connection;
  rig.output->sendSocket("2", second);
  close(rig.channel[1]);
  rig.channel[1] = -1;
  rig.output->acknowledge(true);  // finds it broken
  CHECK(!isOpen(first) && !isOpen(second) && rig.isClosedForClient());
  rig.newConnection();
  rig.output->sendSocket("3", rig.connection);
  rig.output->send("4");
  CHECK(rig.isClosedForClient());
}

void testEnd() {
  Rig rig;
  const int first = rig.connection;
  rig.output->sendSocket("1", first);
  rig.newConnection();
  rig.output->sendSocket("2", rig.connection);
  delete rig.output;
  rig.output = nullptr;
  CHECK(!isOpen(first) && rig.isClosedForClient());
}

}  // namespace

int main() {
  testOneAtATime();
  testLostOnTheWay();
  testFullChannel();
  testBrokenChannel();
  testEnd();
  return checkResult();
}
