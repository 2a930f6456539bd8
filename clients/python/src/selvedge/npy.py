"""Reads .npy files (format 1.0, C order, little-endian) without NumPy; with it, a view of the file."""

from __future__ import annotations

import ast
import os
import sys
from array import array
from pathlib import Path
from typing import Any, Tuple, Union

# NumPy's name of the element type, array's name, bytes.
_TYPES = {"<f4": ("f", 4), "<i8": ("q", 8)}


class NpyFile:
    """The rows of a tensor in a file; ``shape[0]`` counts them."""

    def __init__(self, path: Union[str, "os.PathLike[str]"]) -> None:
        self.path = Path(path)
        with self.path.open("rb") as file:
            magic = file.read(8)
            if magic[:6] != b"\x93NUMPY" or magic[6:7] != b"\x01":
                raise ValueError(f"{self.path} is no .npy file of format 1.0")
            header = ast.literal_eval(file.read(int.from_bytes(file.read(2), "little")).decode("latin1"))
            self._offset = file.tell()
        if header["descr"] not in _TYPES or header["fortran_order"]:
            raise ValueError(f"{self.path} holds {header['descr']}; only {' and '.join(_TYPES)} in C order are read here")
        self.shape: Tuple[int, ...] = tuple(header["shape"])
        self._code, self._item_bytes = _TYPES[header["descr"]]
        self.row_length = 1
        for edge in self.shape[1:]:
            self.row_length *= edge

    def __len__(self) -> int:
        return self.shape[0] if self.shape else 0

    def rows(self, start: int, count: int = 1) -> "array[Any]":
        """``count`` rows from ``start`` on, one after the other in a flat array."""
        if start < 0 or count < 0 or start + count > len(self):
            raise IndexError(f"rows {start} to {start + count} are outside of the {len(self)} of {self.path}")
        values: "array[Any]" = array(self._code)
        with self.path.open("rb") as file:
            file.seek(self._offset + start * self.row_length * self._item_bytes)
            values.fromfile(file, count * self.row_length)
        if sys.byteorder == "big":
            values.byteswap()
        return values

    def read(self) -> "array[Any]":
        """All values in a flat array."""
        return self.rows(0, len(self))

    def numpy(self) -> Any:
        """A NumPy array that reads from the file (copy on write). :raises ImportError: where NumPy is not installed."""
        import numpy

        return numpy.load(self.path, mmap_mode="c")
