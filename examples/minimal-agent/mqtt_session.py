"""MQTT 3.1.1 as a device speaks it: one connection after the other, and what was not acknowledged on each."""

import json
import ssl
import socket
import struct
import threading
import time

TOPICS = "selvedge/v1/devices"
KEEPALIVE_S = 60


class Refused(Exception):
    """The server answered with a problem; `code` is its."""

    def __init__(self, code):
        super().__init__(code)
        self.code = code


class MqttSession:
    """The agent's part that keeps the connection (R10-R14); the rest of the agent is what it calls."""

    def topic(self, name):
        return "%s/%s/%s" % (TOPICS, self.identity["device"], name)

    @staticmethod
    def text(value):
        data = value.encode() if isinstance(value, str) else value
        return struct.pack("!H", len(data)) + data

    @staticmethod
    def packet(head, body):
        length, size = b"", len(body)
        while True:
            size, digit = size >> 7, size & 127
            length += bytes([digit | (128 if size else 0)])
            if not size:
                return bytes([head]) + length + body

    def send(self, head, body=b""):
        self.socket.sendall(self.packet(head, body))
        self.sent_at = time.monotonic()

    def transmit(self, message_id, dup):
        name, payload = self.unacknowledged[message_id]
        self.send(0x32 | (8 if dup else 0), self.text(self.topic(name)) + struct.pack("!H", message_id) + payload)

    def publish(self, name, message):
        self.next_id = self.next_id % 60000 + 1
        self.unacknowledged[self.next_id] = (name, json.dumps({"v": 1, **message}).encode())
        self.transmit(self.next_id, False)

    def say_hello(self):
        presence = json.dumps({"v": 1, "online": False, "instanceId": self.instance})
        flags = 0x80 | 0x04 | 0x08 | 0x02  # user name, will, will QoS 1, clean session
        head = self.text("MQTT") + bytes([4, flags]) + struct.pack("!H", KEEPALIVE_S)
        self.send(0x10, head + b"".join(map(self.text, (self.identity["device"], self.topic("presence"), presence, self.instance))))
        kind, body = self.receive()
        if kind != 0x20 or body[1] != 0:
            raise Refused("MQTT %d" % body[1])
        topics = b"".join(self.text(self.topic(name)) + b"\x01" for name in ("desired", "commands"))
        self.send(0x82, struct.pack("!H", 65535) + topics)

    def receive(self):
        """The next packet; None when there is none for a moment."""
        while True:
            match = self.split()
            if match is not None:
                return match
            try:
                data = self.socket.recv(65536)
            except (socket.timeout, ssl.SSLWantReadError):
                return None
            if not data:
                raise ConnectionError("closed by the server")
            self.buffer += data

    def split(self):
        size = shift = 0
        for at in range(1, min(len(self.buffer), 5)):
            size |= (self.buffer[at] & 127) << shift
            shift += 7
            if self.buffer[at] < 128:
                end = at + 1 + size
                if len(self.buffer) < end:
                    return None
                packet = self.buffer[0] & 0xF0, self.buffer[at + 1 : end]
                self.buffer = self.buffer[end:]
                return packet
        return None

    def session(self):
        self.buffer, self.socket = b"", self.connect(self.identity["ca"])
        try:
            self.say_hello()
            left = [one for one, (name, _) in self.unacknowledged.items() if name != "presence"]
            self.socket.settimeout(0.2)
            while True:
                packet = self.receive()
                if packet is not None and packet[0] == 0x90:
                    break
                if packet is not None:
                    self.inbox.put(packet)
            self.unacknowledged = {one: self.unacknowledged[one] for one in left}
            self.publish("presence", {"online": True, "instanceId": self.instance})
            for one in left:
                self.transmit(one, True)
            self.report()
            if self.ahead is None:
                threading.Thread(target=self.learn_time, daemon=True).start()
            self.loop()
        finally:
            self.socket.close()

    def loop(self):
        pinged = False
        reported = None
        while True:
            packet = self.inbox.get() if not self.inbox.empty() else self.receive()
            if packet is not None:
                pinged = pinged and packet[0] != 0xD0
                self.handle(*packet)
            self.send_samples()
            state = json.dumps([self.desired["revision"], self.states])
            if reported is not None and state != reported:
                self.report()
            reported = state
            silent = time.monotonic() - self.sent_at
            if pinged and silent > 20:
                raise ConnectionError("no answer to a ping")
            if not pinged and silent > KEEPALIVE_S:
                self.send(0xC0)
                pinged = True
