"""The tool kit: restart, cancel, what is on disk."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import unittest
import urllib.error
import urllib.request
from pathlib import Path

HERE = Path(__file__).parent
TOKEN = "token-of-the-tests-0123456789"
LIMIT_S = 30


class RunningTool:
    def __init__(self, data_dir: Path, **variables: str) -> None:
        secret = variables or {"SELVEDGE_TOOL_TOKEN": TOKEN}
        env = {**os.environ, **secret, "PYTHONPATH": str(HERE.parent / "src"), "SELVEDGE_EXIT_WITH_PARENT": "1"}
        command = [sys.executable, str(HERE / "echo_tool.py"), "--data", str(data_dir)]
        self.process = subprocess.Popen(command, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.url = f"http://127.0.0.1:{json.loads(self.process.stdout.readline())['port']}"

    def ask(self, path: str, method: str = "GET", body: bytes = b"", content_type: str = "application/json"):
        headers = {"authorization": f"Bearer {TOKEN}", "content-type": content_type}
        request = urllib.request.Request(self.url + path, body if method == "POST" else None, headers, method=method)
        with urllib.request.urlopen(request, timeout=LIMIT_S) as answer:
            return answer.read()

    def make(self, name: str, **parameters) -> None:
        request = json.dumps({"name": name, "parameters": parameters})
        parts = [
            f'--b\r\ncontent-disposition: form-data; name="request"\r\n\r\n{request}\r\n',
            '--b\r\ncontent-disposition: form-data; name="text"; filename="a.txt"\r\n\r\nhello\n\r\n--b--\r\n',
        ]
        self.ask("/artifacts", "POST", "".join(parts).encode(), "multipart/form-data; boundary=b")

    def status(self, name: str) -> dict:
        return json.loads(self.ask(f"/artifacts/{name}/status"))

    def wait(self, name: str, *states: str) -> dict:
        end = time.monotonic() + LIMIT_S
        while time.monotonic() < end:
            status = self.status(name)
            if status["status"] in states:
                return status
            time.sleep(0.02)
        raise AssertionError(f"{name} is still {status}")

    def stop(self, number: int = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        code = self.process.wait(LIMIT_S)
        self.process.stdin.close()
        self.process.stdout.close()
        return code


def work_pids(data_dir: Path):
    """Processes that hold a job of this tool: those whose parent is the tool, or that have lost it, by what they run."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                environment = (entry / "environ").read_bytes()
            except OSError:
                continue
            if b"SELVEDGE_TOOL_EVENTS_FD=" in environment and str(data_dir).encode() in environment:
                found.append(int(entry.name))
    return found


class ToolTest(unittest.TestCase):
    def setUp(self) -> None:
        self.folder = tempfile.TemporaryDirectory(prefix="kit-python-")
        self.data_dir = Path(self.folder.name)
        os.environ["KIT_TEST_FOLDER"] = str(self.data_dir)  # marks the processes of this test
        self.tool = RunningTool(self.data_dir)

    def tearDown(self) -> None:
        if self.tool.process.poll() is None:
            self.tool.stop()
        self.folder.cleanup()

    def test_leaves_a_folder_that_can_be_read_without_it(self) -> None:
        self.tool.make("one", times=3)
        self.tool.wait("one", "completed")
        root = self.data_dir / "artifacts" / "one"
        names = sorted(path.name for path in root.iterdir())
        self.assertEqual(names, ["data", "input-files", "input-parameters", "inputs.json", "log", "metrics", "status"])
        self.assertEqual((root / "data" / "text.txt").read_text(), "hello\n" * 3)
        self.assertEqual(json.loads((root / "status").read_text())["status"], "completed")
        self.assertEqual(json.loads((root / "input-parameters").read_text()), {"times": 3})
        self.assertEqual((root / "metrics" / "train.loss.jsonl").read_text().count("\n"), 5)
        self.assertIn(" printed by the author\n", (root / "log").read_text())

    def test_goes_on_after_kill_9_and_leaves_no_process(self) -> None:
        self.tool.make("killed", pause_s=1.5)
        self.tool.make("behind")
        self.tool.wait("killed", "in-progress")
        self.tool.stop(signal.SIGKILL)
        self.tool = RunningTool(self.data_dir)
        self.assertEqual(self.tool.wait("killed", "completed", "failed")["attempt"], 2)
        self.assertEqual(self.tool.wait("behind", "completed", "failed")["status"], "completed")
        self.assertEqual(work_pids(self.data_dir), [])

    def test_puts_its_work_back_on_sigterm(self) -> None:
        self.tool.make("interrupted", pause_s=60)
        self.tool.wait("interrupted", "in-progress")
        self.assertEqual(self.tool.stop(), 0)
        status = json.loads((self.data_dir / "artifacts" / "interrupted" / "status").read_text())
        self.assertEqual((status["status"], status["attempt"]), ("queued", 1))

    def test_cancel_kills_the_work(self) -> None:
        self.tool.make("running", pause_s=600)
        self.tool.make("next")
        self.tool.wait("running", "in-progress")
        self.tool.ask("/artifacts/running/cancel", "POST")
        self.assertEqual(self.tool.status("running")["status"], "cancelled")
        self.assertEqual(self.tool.wait("next", "completed", "failed")["status"], "completed")
        self.assertEqual(work_pids(self.data_dir), [])

    def test_tells_errors_of_users_bugs_and_deaths_apart(self) -> None:
        for kind in ("user", "bug", "exit"):
            self.tool.make(kind, fail=kind)
        errors = {kind: self.tool.wait(kind, "failed", "completed")["error"] for kind in ("user", "bug", "exit")}
        self.assertEqual(errors["user"], {"code": "DATASET_FORMAT", "message": "no good", "hint": "use another"})
        self.assertEqual(errors["bug"]["code"], "INTERNAL")
        self.assertIn(b"Traceback", self.tool.ask("/artifacts/bug/log"))
        self.assertEqual(errors["exit"]["code"], "STEP_FAILED")

    def test_takes_the_token_from_a_file(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "token"
            file.write_text(f"{TOKEN}\n")
            tool = RunningTool(Path(folder) / "data", SELVEDGE_TOOL_TOKEN_FILE=str(file))
            try:
                self.assertEqual(json.loads(tool.ask("/"))["name"], "echo")
            finally:
                self.assertEqual(tool.stop(), 0)

    def test_the_work_does_not_see_the_token(self) -> None:
        self.tool.make("quiet", pause_s=600)
        # It is in progress before its process has begun.
        end = time.monotonic() + LIMIT_S
        pids = work_pids(self.data_dir)
        while not pids and time.monotonic() < end:
            time.sleep(0.02)
            pids = work_pids(self.data_dir)
        self.assertEqual(len(pids), 1)
        for pid in pids:
            self.assertNotIn(TOKEN.encode(), Path(f"/proc/{pid}/environ").read_bytes())


class DeclarationTest(unittest.TestCase):
    def test_a_schema_that_cannot_be_checked_is_refused(self) -> None:
        from selvedge.tool import tool

        with self.assertRaisesRegex(ValueError, "oneOf"):
            tool(name="x", makes="x", parameters={"type": "object", "oneOf": []})


if __name__ == "__main__":
    unittest.main()
