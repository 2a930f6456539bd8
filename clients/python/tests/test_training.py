"""The kit of training scripts: tensors, reports, models."""

import contextlib
import io
import json
import os
import signal
import struct
import tempfile
import unittest
from array import array
from pathlib import Path
from unittest import mock

from selvedge import training
from selvedge.npy import NpyFile
from selvedge.onnx_model import OnnxModel

try:
    import numpy
except ImportError:
    numpy = None


def write_npy(path: Path, descr: str, shape: tuple, data: bytes) -> Path:
    header = f"{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape!r}, }}"
    header += " " * ((54 - len(header) - 1) % 64) + "\n"
    path.write_bytes(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode("latin1") + data)
    return path


class FolderTest(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory(prefix="kit-training-")
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)


class NpyTest(FolderTest):
    def test_reads_rows(self) -> None:
        values = array("f", range(12))
        file = NpyFile(write_npy(self.folder / "x.npy", "<f4", (3, 2, 2), values.tobytes()))
        self.assertEqual((len(file), file.shape, file.row_length), (3, (3, 2, 2), 4))
        self.assertEqual(file.rows(1, 2).tolist(), [4, 5, 6, 7, 8, 9, 10, 11])
        self.assertEqual(file.read(), values)
        with self.assertRaises(IndexError):
            file.rows(2, 2)

    def test_reads_labels(self) -> None:
        file = NpyFile(write_npy(self.folder / "y.npy", "<i8", (2,), array("q", [7, -1]).tobytes()))
        self.assertEqual(file.read().tolist(), [7, -1])

    def test_refuses_what_it_does_not_read(self) -> None:
        with self.assertRaisesRegex(ValueError, "<f8"):
            NpyFile(write_npy(self.folder / "x.npy", "<f8", (1,), b"\0" * 8))
        (self.folder / "no.npy").write_bytes(b"nothing at all")
        with self.assertRaisesRegex(ValueError, "no .npy file"):
            NpyFile(self.folder / "no.npy")

    @unittest.skipIf(numpy is None, "NumPy is not installed")
    def test_gives_a_view(self) -> None:
        view = NpyFile(write_npy(self.folder / "x.npy", "<f4", (2, 2), array("f", range(4)).tobytes())).numpy()
        self.assertEqual((view.dtype, view.tolist()), (numpy.float32, [[0, 1], [2, 3]]))


class ReportTest(FolderTest):
    def lines(self, *reports: dict) -> list:
        path = self.folder / "metrics.jsonl"
        path.write_text("")
        with mock.patch.dict(os.environ, {"SELVEDGE_METRICS": str(path)}):
            for one in reports:
                training.report(**one)
        return [json.loads(line) for line in path.read_text().splitlines()]

    def test_names_metrics_as_trainings_do(self) -> None:
        lines = self.lines({"epoch": 1, "train_loss": 0.5, "validation_accuracy": 1, "lr": 0.1, "metrics": {"a/b": 2}}, {"step": 3, "kept": True})
        self.assertEqual(lines[0], {"epoch": 1, "train/loss": 0.5, "validation/accuracy": 1.0, "lr": 0.1, "a/b": 2.0})
        self.assertEqual(lines[1], {"step": 3, "kept": True})

    def test_refuses_what_would_be_a_position(self) -> None:
        with self.assertRaisesRegex(ValueError, "epoch"):
            self.lines({"metrics": {"epoch": 1}})

    def test_prints_outside_of_a_run(self) -> None:
        with mock.patch.dict(os.environ), contextlib.redirect_stdout(io.StringIO()) as out:
            os.environ.pop("SELVEDGE_METRICS", None)
            training.report(epoch=1, loss=2)
            os.environ.pop("SELVEDGE_TRAINING", None)
            with self.assertRaisesRegex(RuntimeError, "SELVEDGE_TRAINING"):
                training.load()
        self.assertEqual(json.loads(out.getvalue()), {"epoch": 1, "loss": 2.0})

    def test_says_that_it_is_cancelled(self) -> None:
        before = signal.getsignal(signal.SIGTERM)
        self.addCleanup(signal.signal, signal.SIGTERM, before)
        self.assertFalse(training.cancelled())
        os.kill(os.getpid(), signal.SIGTERM)
        self.assertTrue(training.cancelled())


class OnnxModelTest(FolderTest):
    """What ONNX Runtime makes of the files is tested with the tool that trains."""

    def test_takes_lists_arrays_and_flat_values(self) -> None:
        for weights in ([[1.0, 2.0], [3.0, 4.0]], [array("f", [1, 2]), array("f", [3, 4])]):
            model = OnnxModel([None, 2])
            model.output(model.matmul(model.input, weights), [None, 2])
            self.assertIn(struct.pack("<4f", 1, 2, 3, 4), model.encode())
        model = OnnxModel([None, 2])
        model.output(model.matmul(model.input, model.tensor(range(4), shape=[2, 2])), [None, 2])
        self.assertIn(struct.pack("<4f", 0, 1, 2, 3), model.encode())

    @unittest.skipIf(numpy is None, "NumPy is not installed")
    def test_takes_numpy(self) -> None:
        model = OnnxModel([None, 2])
        model.output(model.matmul(model.input, numpy.eye(2)), [None, 2])
        self.assertIn(struct.pack("<4f", 1, 0, 0, 1), model.encode())

    def test_refuses_weights_that_are_no_tensor(self) -> None:
        model = OnnxModel([None, 2])
        with self.assertRaisesRegex(ValueError, "one length"):
            model.tensor([[1.0], [2.0, 3.0]])
        with self.assertRaisesRegex(ValueError, "do not fill"):
            model.tensor([1.0, 2.0, 3.0], shape=[2, 2])
        with self.assertRaisesRegex(ValueError, "no output"):
            model.encode()


if __name__ == "__main__":
    unittest.main()
