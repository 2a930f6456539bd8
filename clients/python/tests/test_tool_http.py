"""The HTTP face of the tool kit, byte by byte: bodies that are malformed, and answers that must arrive nevertheless."""

import json
import socket
import tempfile
import unittest
from pathlib import Path
from typing import Iterable, Tuple

from test_tool import LIMIT_S, TOKEN, RunningTool

REQUEST = json.dumps({"name": "raw", "parameters": {}}).encode()


class ToolHttpTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls) -> None:
        cls.folder = tempfile.TemporaryDirectory(prefix="kit-python-")
        cls.tool = RunningTool(Path(cls.folder.name))
        host, port = cls.tool.url[len("http://") :].split(":")
        cls.address = (host, int(port))

    @classmethod
    def tearDownClass(cls) -> None:
        cls.tool.stop()
        cls.folder.cleanup()

    def exchange(self, headers: Iterable[str], body: bytes, token: str = TOKEN) -> Tuple[int, dict]:
        """Sends all of it, then reads to the end of the connection."""
        head = ["POST /artifacts HTTP/1.1", "host: tool", f"authorization: Bearer {token}", "content-type: application/json", *headers]
        with socket.create_connection(self.address, LIMIT_S) as connection:
            connection.sendall("\r\n".join([*head, "", ""]).encode() + body)
            connection.shutdown(socket.SHUT_WR)
            answer = b""
            while True:
                data = connection.recv(1 << 16)
                if not data:
                    break
                answer += data
        status, _, rest = answer.partition(b"\r\n")
        return int(status.split()[1]), json.loads(rest.partition(b"\r\n\r\n")[2])

    def assert_refused(self, headers: Iterable[str], body: bytes) -> None:
        status, problem = self.exchange(headers, body)
        self.assertEqual((status, problem["code"], problem["status"]), (400, "INPUT_INVALID", 400), problem)

    def test_refuses_a_length_that_is_none(self) -> None:
        for length in ("", "x", "-1", "+5", "5, 5", "5 5", "0x10", "1_0", "\u00b2", "9" * 30):
            with self.subTest(length):
                self.assert_refused([f"content-length: {length}"], REQUEST)

    def test_refuses_two_lengths(self) -> None:
        size = len(REQUEST)
        self.assert_refused([f"content-length: {size}", f"content-length: {size + 1}"], REQUEST)
        self.assert_refused([f"content-length: {size}", "transfer-encoding: chunked"], REQUEST)

    def test_refuses_an_encoding_that_it_does_not_read(self) -> None:
        self.assert_refused(["transfer-encoding: gzip, chunked"], b"0\r\n\r\n")

    def test_refuses_chunks_that_are_malformed(self) -> None:
        size = b"%x" % len(REQUEST)
        whole = size + b"\r\n" + REQUEST + b"\r\n"
        bodies = {
            "no number": b"zz\r\n" + REQUEST + b"\r\n0\r\n\r\n",
            "negative": b"-5\r\n" + REQUEST + b"\r\n0\r\n\r\n",
            "as Python writes it": b"0x" + whole + b"0\r\n\r\n",
            "empty": b"\r\n\r\n",
            "of a length without end": b"1" * 5000 + b"\r\n",
            "longer than it says": b"5\r\n" + REQUEST + b"\r\n0\r\n\r\n",
            "cut in a chunk": whole[:-10],
            "cut between chunks": whole,
            "cut after the last chunk": whole + b"0\r\n",
        }
        for what, body in bodies.items():
            with self.subTest(what):
                self.assert_refused(["transfer-encoding: chunked"], body)

    def test_refuses_a_body_that_is_cut(self) -> None:
        self.assert_refused([f"content-length: {len(REQUEST) + 5}"], REQUEST)

    def test_reads_chunks_of_any_size(self) -> None:
        request = json.dumps({"name": "chunked", "parameters": {"times": "x"}}).encode()
        body = b"".join(b"%X;ext=1\r\n%s\r\n" % (len(part), part) for part in (request[:1], request[1:20], request[20:]))
        status, problem = self.exchange(["transfer-encoding: Chunked", "connection: close"], body + b"0\r\ntrailer: 1\r\n\r\n")
        # It was read whole: what is wrong is what it says.
        self.assertEqual((status, [issue["path"] for issue in problem["issues"]][:1]), (400, ["parameters.times"]), problem)

    def test_an_answer_arrives_although_the_body_was_not_read(self) -> None:
        large = b"x" * (16 << 20)
        for token, headers, expected in (("wrong" * 5, [f"content-length: {len(large)}"], 401), (TOKEN, ["content-length: many"], 400)):
            with self.subTest(expected):
                status, problem = self.exchange(headers, large, token)
                self.assertEqual((status, problem["status"]), (expected, expected))

    def test_the_next_request_of_a_connection_is_answered(self) -> None:
        ask = f"GET /health HTTP/1.1\r\nhost: tool\r\nauthorization: Bearer {TOKEN}\r\n".encode()
        with socket.create_connection(self.address, LIMIT_S) as connection:
            connection.sendall(ask + b"\r\n" + ask + b"connection: close\r\n\r\n")
            answer = b""
            while True:
                data = connection.recv(1 << 16)
                if not data:
                    break
                answer += data
        self.assertEqual(answer.count(b"HTTP/1.1 200"), 2)


if __name__ == "__main__":
    unittest.main()
