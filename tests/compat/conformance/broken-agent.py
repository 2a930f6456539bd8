"""The minimal agent with one fault, named by FAULT: each breaks one rule of the device protocol."""

import importlib.util
import json
import os
import ssl
import sys
import time
from pathlib import Path

EXAMPLE = Path(__file__).parents[3] / "examples/minimal-agent/agent.py"
sys.path.insert(0, str(EXAMPLE.parent))
spec = importlib.util.spec_from_file_location("minimal_agent", EXAMPLE)
minimal = importlib.util.module_from_spec(spec)
spec.loader.exec_module(minimal)
Agent = minimal.Agent


class TrustsAnyone(Agent):
    def connect(self, ca, with_identity=True):
        original = ssl.SSLContext

        class Credulous(original):
            def wrap_socket(self, *args, **options):
                self.check_hostname = False
                self.verify_mode = ssl.CERT_NONE
                return super().wrap_socket(*args, **options)

        ssl.SSLContext = Credulous
        try:
            return super().connect(ca, with_identity)
        finally:
            ssl.SSLContext = original


class GoesByDates(Agent):
    def connect(self, ca, with_identity=True):
        minimal.NO_CHECK_TIME = 0
        return super().connect(ca, with_identity)


class SkipsFingerprint(Agent):
    def vouched_ca(self, digest):
        address = "%s:%d" % (self.url.hostname, self.url.port)
        shown = minimal.openssl("s_client", "-connect", address, "-servername", minimal.SERVER_NAME, "-showcerts")
        return minimal.re.findall(r"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", shown, minimal.re.S)[-1]


class PinsTheAnswer(Agent):
    def keep(self, key, answer, ca):
        super().keep(key, {**answer, "trust": {"caPem": answer["caPem"]}}, ca)


class SendsItsKey(Agent):
    def make_request(self, key):
        return super().make_request(key) + key


class NewKeyEachTime(Agent):
    def ask(self, method, path, value=None, ca=None):
        if path == "/device/v1/join":
            key = minimal.openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout")
            value = {**value, "csrPem": self.make_request(key)}
        return super().ask(method, path, value, ca)


class NeverRenews(Agent):
    def renew_if_due(self):
        pass


class NeverGivesUp(Agent):
    def is_removed(self):
        return False


class AnyClientId(Agent):
    def text(self, value):
        return Agent.text("somebody" if value == (self.identity or {}).get("device") else value)


class PublishesFirst(Agent):
    def send(self, head, body=b""):
        if head == 0x82:
            self.publish("presence", {"online": True, "instanceId": self.instance})
        super().send(head, body)


class ForgetsUnacknowledged(Agent):
    def session(self):
        self.unacknowledged = {}
        super().session()


class AcknowledgesBeforeDisk(Agent):
    def take_order(self, message):
        write, minimal.write = minimal.write, lambda *_: None
        try:
            super().take_order(message)
        finally:
            minimal.write = write


class Hammers(Agent):
    def session(self):
        minimal.random.uniform = lambda *_: 0.02
        super().session()


class UsesOtherTopics(Agent):
    def topic(self, name):
        return super().topic(name) if name != "telemetry" else "selvedge/v1/devices/somebody/telemetry"


class TakesAnyRevision(Agent):
    def take_order(self, message):
        self.desired = {**self.desired, "revision": 0}
        super().take_order(message)


class TakesAnyVersion(Agent):
    def handle(self, kind, body):
        super().handle(kind, body.replace(b'"v":2', b'"v":1'))


class RefusesUnknownFields(Agent):
    def take_order(self, message):
        if set(message) == {"v", "revision", "workloads"}:
            super().take_order(message)


class BeginsDownloadsAnew(Agent):
    def fetch(self, order, sha256, sizeBytes):
        save = self.save
        self.save = lambda answer, path, mode, most: save(answer, path + ".part", "wb", most) or os.replace(path + ".part", path)
        self.request_whole = True
        return super().fetch(order, sha256, sizeBytes)

    def request(self, method, path, body=None, headers=None, ca=None):
        return super().request(method, path, body, {} if "blobs" in path else headers, ca)


class ServesAnything(Agent):
    def describe(self, workload, state):
        said = super().describe(workload, state)
        return {**said, "servingVersion": workload["version"]} if state["state"] == "failed" else said


class NeverCounts(Agent):
    def report(self):
        self.sequence = 0
        super().report()


class LosesSamples(Agent):
    def loop(self):
        self.samples = []
        super().loop()


class AnswersTwice(Agent):
    def take_command(self, command):
        self.seen = []
        super().take_command(command)


class AnswersExpired(Agent):
    def take_command(self, command):
        super().take_command({**command, "expiresAt": "2999-01-01T00:00:00.000Z"})


class OwnClock(Agent):
    def now(self):
        return time.time()


class DoesAnything(Agent):
    def publish(self, name, message):
        if message.get("outcome", {}).get("error", {}).get("code") == "FORBIDDEN":
            message["outcome"] = {"ok": True, "cancelled": True}
        super().publish(name, message)


class LocalTimes(Agent):
    def publish(self, name, message):
        super().publish(name, json.loads(json.dumps(message).replace("Z\"", "\"").replace(".000\"", "\"")))


faulty = {name: kind for name, kind in list(globals().items()) if isinstance(kind, type) and issubclass(kind, Agent)}
faulty[os.environ["FAULT"]](*sys.argv[1:]).run()
