#!/usr/bin/env python3
"""An agent of some hundred lines: the device protocol with nothing but Python's standard library and the openssl program.

It joins, reports, sends samples, fetches and verifies what it is to serve, answers commands and renews its certificate. It
has no runtime for models, so it says of each that it cannot serve it. Its rules are those of
docs/reference/device-protocol.md; the numbers in the comments are theirs.

    python3 agent.py https://server:7443 TOKEN FOLDER
"""

import email.utils
import hashlib
import http.client
import json
import os
import platform
import queue
import random
import re
import secrets
import socket
import ssl
import struct
import subprocess
import sys
import threading
import time
import urllib.parse

from mqtt_session import MqttSession, Refused

SERVER_NAME = "selvedge-server"
NO_BLOB = "/device/v1/blobs/" + "0" * 64
NO_CHECK_TIME = 0x200000  # X509_V_FLAG_NO_CHECK_TIME
SAMPLE_S = float(os.environ.get("SAMPLE_S", "60"))
MAX_SAMPLES = 1000


def iso(seconds):
    whole, milliseconds = divmod(round(seconds * 1000), 1000)
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(whole)) + ".%03dZ" % milliseconds


def from_iso(text):
    moment = re.sub(r"(\.\d+)?Z$", "", text)
    return email.utils.mktime_tz((*time.strptime(moment, "%Y-%m-%dT%H:%M:%S")[:9], 0))


def openssl(*args, data=b""):
    return subprocess.run(["openssl", *args], input=data, check=True, capture_output=True).stdout.decode()


def write(path, text):
    """The whole file or none of it, also when the power goes."""
    with open(path + ".new", "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    os.replace(path + ".new", path)
    folder = os.open(os.path.dirname(path), os.O_RDONLY)
    os.fsync(folder)
    os.close(folder)


class Agent(MqttSession):
    def __init__(self, url, token, folder):
        self.url, self.token, self.folder = urllib.parse.urlsplit(url), token, os.path.abspath(folder)
        os.makedirs(self.folder, exist_ok=True)
        self.instance = secrets.token_hex(8)
        self.identity = self.load("identity.json")
        self.desired = self.load("desired.json") or {"revision": 0, "workloads": []}
        self.sequence = 0
        self.ahead = None  # the server's clock minus ours, seconds
        self.seen = []
        self.unacknowledged = {}
        self.next_id = 0
        self.samples = []
        self.states = {}
        self.inbox = queue.Queue()
        self.lock = threading.Lock()
        self.order = 0

    def path(self, name):
        return os.path.join(self.folder, name)

    def load(self, name):
        if not os.path.exists(self.path(name)):
            return None
        with open(self.path(name)) as file:
            return json.load(file)

    def now(self):
        return time.time() + (self.ahead or 0)

    # --- TLS and HTTP (R1, R2, R28) ---

    def connect(self, ca, with_identity=True):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.load_verify_locations(cadata=ca)
        context.verify_flags |= NO_CHECK_TIME  # our clock may be wrong by years (R28)
        if with_identity and self.identity:
            write(self.path("client.pem"), self.identity["key"] + self.identity["certificate"])
            context.load_cert_chain(self.path("client.pem"))
        plain = socket.create_connection((self.url.hostname, self.url.port or 7443), timeout=20)
        return context.wrap_socket(plain, server_hostname=SERVER_NAME)

    def request(self, method, path, body=None, headers=None, ca=None):
        connection = http.client.HTTPConnection(self.url.hostname)
        connection.sock = self.connect(ca or self.identity["ca"], with_identity=ca is None)
        connection.request(method, path, body=body, headers=headers or {})
        answer = connection.getresponse()
        date = email.utils.parsedate_to_datetime(answer.headers["date"]).timestamp() if "date" in answer.headers else None
        if date is not None:
            self.ahead = date - time.time() if abs(date - time.time()) > 60 else 0
        return answer

    def ask(self, method, path, value=None, ca=None):
        body = None if value is None else json.dumps(value)
        answer = self.request(method, path, body, {"content-type": "application/json"}, ca)
        content = json.loads(answer.read() or b"{}")
        if answer.status >= 300:
            raise Refused(content.get("code", "HTTP %d" % answer.status))
        return content

    # --- joining and renewal (R5-R8, R27) ---

    def vouched_ca(self, digest):
        address = "%s:%d" % (self.url.hostname, self.url.port or 7443)
        shown = openssl("s_client", "-connect", address, "-servername", SERVER_NAME, "-showcerts")
        for pem in re.findall(r"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", shown, re.S):
            if hashlib.sha256(ssl.PEM_cert_to_DER_cert(pem)).hexdigest() == digest:
                return pem + "\n"
        raise SystemExit("The server is not the one that issued this token.")  # (R6)

    def make_request(self, key):
        return openssl("req", "-new", "-key", "/dev/stdin", "-subj", "/CN=device", data=key.encode())

    def join(self):
        _, secret, digest, _ = self.token.split(".")
        ca = self.vouched_ca(digest)
        pending = self.load("pending.json") or {"key": openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout")}
        write(self.path("pending.json"), json.dumps(pending))
        request = {"secret": secret, "csrPem": self.make_request(pending["key"])}
        while True:
            try:
                answer = self.ask("POST", "/device/v1/join", request, ca)
                break
            except Refused as refusal:
                if refusal.code != "JOIN_PENDING":
                    raise SystemExit("The server refuses: " + refusal.code)
                time.sleep(2)
        self.keep(pending["key"], answer, ca)

    def keep(self, key, answer, ca):
        trusted = answer.get("trust", {}).get("caPem", ca)  # without "trust" the vouched one stays (R7)
        self.identity = {"device": answer["device"], "key": key, "certificate": answer["certificatePem"], "ca": trusted}
        write(self.path("identity.json"), json.dumps(self.identity))

    def renew_if_due(self):
        dates = openssl("x509", "-noout", "-dates", data=self.identity["certificate"].encode())
        start, end = (ssl.cert_time_to_seconds(line.split("=", 1)[1]) for line in dates.strip().splitlines())
        if self.now() < (start + end) / 2:
            return
        key = openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout")
        self.keep(key, self.ask("POST", "/device/v1/renew", {"csrPem": self.make_request(key)}), self.identity["ca"])

    # --- what comes in ---

    def handle(self, kind, body):
        if kind == 0x40:
            self.unacknowledged.pop(struct.unpack("!H", body[:2])[0], None)
        if kind != 0x30:
            return
        size = struct.unpack("!H", body[:2])[0]
        name = body[2 : 2 + size].decode().rsplit("/", 1)[-1]
        message_id = body[2 + size : 4 + size]
        try:
            message = json.loads(body[4 + size :])
            if message.get("v") == 1 and name == "desired":
                self.take_order(message)
            elif name == "commands":
                self.take_command(message)
        except (ValueError, KeyError, AttributeError) as error:
            print("a message was not understood:", error, file=sys.stderr)
        self.send(0x40, message_id)  # the order is on disk by now (R12)

    # --- what is wanted, and what is (R15-R23) ---

    def take_order(self, message):
        if message["revision"] < self.desired["revision"]:
            return  # (R15)
        write(self.path("desired.json"), json.dumps(message))
        self.desired = message
        self.work()

    def work(self):
        with self.lock:
            self.order += 1
            self.states = {w["name"]: {"state": "pending", "error": None} for w in self.desired["workloads"]}
        threading.Thread(target=self.fetch_all, args=(self.order, self.desired["workloads"]), daemon=True).start()

    def fetch_all(self, order, workloads):
        for workload in workloads:
            self.set_state(order, workload, "fetching")
            try:
                manifest = json.loads(self.fetch(order, **workload["manifest"]))
                for file in manifest["files"]:
                    self.fetch(order, file["sha256"], file["sizeBytes"])
                code, text = "WORKLOAD_FAILED", "This agent has no runtime for models."
            except ValueError as error:
                code, text = "DIGEST_MISMATCH", str(error)
            except Refused as refusal:
                code, text = "DOWNLOAD_FAILED", "The server refuses: " + refusal.code
            self.set_state(order, workload, "failed", {"code": code, "message": text, "at": iso(self.now())})

    def set_state(self, order, workload, state, error=None):
        with self.lock:
            if order == self.order:
                self.states[workload["name"]] = {"state": state, "error": error}

    def fetch(self, order, sha256, sizeBytes):
        """A verified file (R17): what is there of it already is not fetched again."""
        path = self.path("blob-" + sha256)
        pause = 0.5
        while order == self.order:
            have = os.path.getsize(path) if os.path.exists(path) else 0
            if have >= sizeBytes:
                break
            try:
                headers = {"range": "bytes=%d-" % have, "if-range": '"%s"' % sha256} if have else {}
                answer = self.request("GET", "/device/v1/blobs/" + sha256, headers=headers)
                if answer.status not in (200, 206):
                    raise Refused("HTTP %d" % answer.status)
                self.save(answer, path, "ab" if answer.status == 206 else "wb", sizeBytes)
            except (OSError, http.client.HTTPException):
                time.sleep(pause)
                pause = min(pause * 2, 30)
        with open(path, "rb") as file:
            content = file.read()
        if hashlib.sha256(content).hexdigest() != sha256:
            os.remove(path)
            raise ValueError("a file has another digest than ordered: " + sha256)
        return content

    @staticmethod
    def save(answer, path, mode, most):
        with open(path, mode) as file:
            while file.tell() < most:
                part = answer.read1(65536)
                if not part:
                    return
                file.write(part[: most - file.tell()])

    def report(self):
        self.sequence += 1
        with self.lock:
            workloads = [self.describe(w, self.states.get(w["name"], {"state": "pending", "error": None})) for w in self.desired["workloads"]]
        info = {
            "agentVersion": "minimal-1",
            "hostname": platform.node(),
            "arch": platform.machine(),
            "platform": sys.platform,
            "osRelease": platform.release(),
            "cpuModel": platform.processor(),
            "cpus": os.cpu_count() or 0,
            "memoryBytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        }
        observed = {"observedRevision": self.desired["revision"], "info": info, "workloads": workloads}
        self.publish("reported", {"sequence": self.sequence, "instanceId": self.instance, **observed})

    @staticmethod
    def describe(workload, state):
        names = {"name": workload["name"], "model": workload["model"], "desiredVersion": workload["version"]}
        nothing = {"servingVersion": None, "previousVersion": None, "port": None, "progress": None, "servingSince": None}
        return {**names, **nothing, **state, "restarts": 0}

    # --- samples (R24) ---

    def sample_for_ever(self):
        while True:
            nothing = ("cpu", "memoryUsedBytes", "memoryTotalBytes", "diskUsedBytes", "diskTotalBytes")
            nothing += ("temperatureC", "networkRxBytes", "networkTxBytes", "agentRssBytes")
            with self.lock:
                self.samples = [*self.samples, {"at": iso(self.now()), **dict.fromkeys(nothing)}][-MAX_SAMPLES:]
            time.sleep(SAMPLE_S)

    def send_samples(self):
        with self.lock:
            samples, self.samples = self.samples, []
        if samples:
            self.publish("telemetry", {"samples": samples})

    # --- commands (R25, R29, R30) ---

    def take_command(self, command):
        if command["id"] in self.seen:
            return
        self.seen = [*self.seen[-255:], command["id"]]
        if from_iso(command["expiresAt"]) < self.now():
            return
        self.publish("replies", {"id": command["id"], "outcome": {"ok": False, "error": self.refuse(command)}})

    @staticmethod
    def refuse(command):
        if command.get("type") == "infer":
            return {"code": "WORKLOAD_NOT_SERVING", "message": "This agent serves nothing."}
        if command.get("type") in ("exec", "shell", "push", "pull"):
            return {"code": "FORBIDDEN", "message": "This agent lets the server do nothing."}
        return {"code": "INPUT_INVALID", "message": "This agent does not know that command."}

    # --- for ever (R9, R13) ---

    def learn_time(self):
        """Any answer has the server's time, that there is no such blob as well."""
        try:
            self.standing()
            self.renew_if_due()
        except (OSError, http.client.HTTPException, Refused) as error:
            print("the server could not be asked:", error, file=sys.stderr)

    def standing(self):
        """Why the server refuses this device, if it does."""
        try:
            self.ask("GET", NO_BLOB)
        except Refused as refusal:
            return refusal.code
        return None

    def run(self):
        if self.identity is None:
            self.join()
        self.work()
        threading.Thread(target=self.sample_for_ever, daemon=True).start()
        attempt = 0
        while True:
            began = time.monotonic()
            removed = False
            try:
                self.session()
            except Refused:
                removed = self.is_removed()
            except (OSError, http.client.HTTPException) as error:
                print("not connected:", error, file=sys.stderr)
            attempt = 1 if time.monotonic() - began > 20 else attempt + 1
            pause = min(30, 0.5 * 2 ** (attempt - 1)) * random.uniform(0.5, 1)
            time.sleep(3600 if removed else pause)

    def is_removed(self):
        try:
            return self.standing() == "DEVICE_REVOKED"
        except (OSError, http.client.HTTPException):
            return False


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit("usage: agent.py URL TOKEN FOLDER")
    try:
        Agent(*sys.argv[1:]).run()
    except KeyboardInterrupt:
        sys.exit(130)
