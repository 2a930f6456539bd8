"""The client against a server of the standard library that answers as it is told."""

import io
import json
import tarfile
import tempfile
import threading
import unittest
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from selvedge import Client, SelvedgeError, client as client_module

PROBLEM = {"type": "x", "title": "t", "status": 409, "detail": "it is taken", "code": "CONFLICT", "kind": "user", "retryable": False, "hint": "take another"}


class ClientTest(unittest.TestCase):
    def setUp(self) -> None:
        self.asked, self.answers = [], []
        test = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
                test.asked.append((self.command, self.path, self.headers, body))
                status, answer = test.answers.pop(0)
                data = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            do_POST = do_DELETE = do_GET

            def log_message(self, *_args: object) -> None:
                """Quiet."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.client = Client(f"http://127.0.0.1:{self.server.server_port}", "secret")
        client_module.POLL_S = 0.001

    def tearDown(self) -> None:
        self.server.shutdown()
        self.server.server_close()

    def test_sends_token_path_and_query(self) -> None:
        self.answers = [(200, {"items": [1], "next": "p2"}), (200, {"items": [2], "next": None})]
        self.assertEqual(self.client.list("devices", "room=a/b"), [1, 2])
        command, path, headers, _ = self.asked[0]
        self.assertEqual((command, path), ("GET", "/api/v1/resources/devices?selector=room%3Da%2Fb"))
        self.assertEqual(headers["authorization"], "Bearer secret")
        self.assertTrue(self.asked[1][1].endswith("&after=p2"))

    def test_waits_and_tells_each_change_once(self) -> None:
        phases = ["Running", "Running", "Succeeded"]
        self.answers = [(200, {"status": {"phase": phase}}) for phase in phases]
        seen = []
        run = self.client.runs.wait("digits-1", progress=lambda one: seen.append(one["status"]["phase"]))
        self.assertEqual((run["status"]["phase"], seen), ("Succeeded", ["Running", "Succeeded"]))

    def test_a_failed_run_is_an_exception_with_its_reason(self) -> None:
        self.answers = [(200, {"status": {"phase": "Failed", "error": {"code": "DATASET_FORMAT", "message": "bad", "hint": "h"}}})]
        with self.assertRaises(SelvedgeError) as caught:
            self.client.runs.wait("digits-1")
        self.assertEqual((caught.exception.code, caught.exception.hint), ("DATASET_FORMAT", "h"))

    def test_a_problem_document_is_an_exception(self) -> None:
        self.answers = [(409, PROBLEM)]
        with self.assertRaises(SelvedgeError) as caught:
            self.client.pipelines.run("digits")
        error = caught.exception
        self.assertEqual((error.code, error.message, error.hint, error.status), ("CONFLICT", "it is taken", "take another", 409))

    def test_only_safe_requests_are_tried_again(self) -> None:
        self.answers = [(503, b"busy"), (200, {"status": "ok"})]
        self.assertEqual(self.client.health(), {"status": "ok"})
        self.asked.clear()
        self.answers = [(503, b"busy"), (200, {})]
        with self.assertRaises(SelvedgeError):
            self.client.pipelines.run("digits")
        self.assertEqual(len(self.asked), 1)

    def test_uploads_a_folder_as_a_tar(self) -> None:
        self.answers = [(202, {"metadata": {"name": "d.v1"}}), (200, {"status": {"phase": "Ready"}})]
        with tempfile.TemporaryDirectory() as folder:
            Path(folder, "a").mkdir()
            Path(folder, "a", "1.txt").write_text("x")
            self.client.datasets.add("d", folder, testShare=0.1)
        _, path, headers, body = self.asked[0]
        self.assertIn("testShare=0.1", path)
        self.assertEqual(headers["content-type"], "application/x-tar")
        self.assertEqual(tarfile.open(fileobj=io.BytesIO(body)).getnames(), ["a", "a/1.txt"])

    def test_an_operation_or_part_that_is_not_there_is_refused_before_anything_is_sent(self) -> None:
        for call in (lambda: self.client.call("nothing"), lambda: self.client.call("getModel"), lambda: self.client.call("getHealth", name="x")):
            with self.assertRaises(SelvedgeError):
                call()
        self.assertEqual(self.asked, [])


if __name__ == "__main__":
    unittest.main()
