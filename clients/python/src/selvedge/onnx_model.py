"""Writes ONNX models without the package ``onnx``: for a script that trains with nothing but the standard library.

    model = OnnxModel(input_shape=[None, 64])
    hidden = model.relu(model.gemm(model.input, weights, bias))
    model.output(model.gemm(hidden, weights_2, bias_2), shape=[None, 10])
    model.save("model.onnx")

Weights are nested lists, NumPy arrays, or flat sequences with their shape. Every method takes names of tensors and returns
the name of its result. What is not here is made by ``node``: any operator of ONNX's standard set, version 17.
"""

from __future__ import annotations

import os
import struct
import sys
from array import array
from pathlib import Path
from typing import Any, List, Optional, Sequence, Tuple, Union

from .protobuf import bytes_field, float_field, integer_field, text_field

IR_VERSION = 8
OPSET = 17
_FLOAT, _INT64 = 1, 7
Attribute = Union[int, float, str, Sequence[int], Sequence[float]]


class OnnxModel:
    """A graph with one input and one output, built node by node."""

    def __init__(self, input_shape: Sequence[Optional[int]], *, input_name: str = "input", producer: str = "selvedge.training") -> None:
        """:param input_shape: with the samples first; None where any number goes."""
        self.input = input_name
        self._input_shape = list(input_shape)
        self._output: Optional[Tuple[str, List[Optional[int]]]] = None
        self._producer = producer
        self._nodes: List[bytes] = []
        self._initializers: List[bytes] = []
        self._count = 0

    # Building

    def tensor(self, values: Any, shape: Optional[Sequence[int]] = None) -> str:
        """Adds weights. :param shape: of a flat sequence; of others it is known."""
        data, dims = _floats(values, shape)
        return self._initializer(_FLOAT, dims, data)

    def integers(self, values: Sequence[int]) -> str:
        """Adds a list of int64, as some operators take for a shape or for axes."""
        return self._initializer(_INT64, [len(values)], struct.pack(f"<{len(values)}q", *values))

    def node(self, op: str, inputs: Sequence[str], **attributes: Attribute) -> str:
        """Adds any operator with one output."""
        name = self._name(op.lower())
        message = b"".join(text_field(1, one) for one in inputs) + text_field(2, name) + text_field(3, name) + text_field(4, op)
        self._nodes.append(message + b"".join(bytes_field(5, _attribute(key, value)) for key, value in sorted(attributes.items())))
        return name

    def gemm(self, x: str, weights: Any, bias: Any = None, *, transposed: bool = False) -> str:
        """x · weights + bias. :param weights: [in, out]; with ``transposed`` [out, in], as PyTorch keeps them."""
        inputs = [x, self._given(weights)] + ([] if bias is None else [self._given(bias)])
        return self.node("Gemm", inputs, transB=int(transposed))

    def matmul(self, x: str, weights: Any) -> str:
        return self.node("MatMul", [x, self._given(weights)])

    def add(self, x: str, other: Any) -> str:
        return self.node("Add", [x, self._given(other)])

    def mul(self, x: str, other: Any) -> str:
        return self.node("Mul", [x, self._given(other)])

    def conv(
        self, x: str, weights: Any, bias: Any = None, *, strides: Sequence[int] = (1, 1), pads: Sequence[int] = (0, 0, 0, 0), group: int = 1
    ) -> str:
        """:param weights: [out, in / group, height, width]. :param pads: top, left, bottom, right."""
        inputs = [x, self._given(weights)] + ([] if bias is None else [self._given(bias)])
        return self.node("Conv", inputs, strides=list(strides), pads=list(pads), group=group)

    def max_pool(self, x: str, kernel: Sequence[int], strides: Optional[Sequence[int]] = None) -> str:
        return self.node("MaxPool", [x], kernel_shape=list(kernel), strides=list(strides or kernel))

    def average_pool(self, x: str, kernel: Sequence[int], strides: Optional[Sequence[int]] = None) -> str:
        return self.node("AveragePool", [x], kernel_shape=list(kernel), strides=list(strides or kernel))

    def global_average_pool(self, x: str) -> str:
        return self.node("GlobalAveragePool", [x])

    def relu(self, x: str) -> str:
        return self.node("Relu", [x])

    def sigmoid(self, x: str) -> str:
        return self.node("Sigmoid", [x])

    def tanh(self, x: str) -> str:
        return self.node("Tanh", [x])

    def softmax(self, x: str, axis: int = -1) -> str:
        return self.node("Softmax", [x], axis=axis)

    def flatten(self, x: str) -> str:
        """All of a sample in one row."""
        return self.node("Flatten", [x], axis=1)

    def reshape(self, x: str, shape: Sequence[int]) -> str:
        """:param shape: 0 keeps an edge, -1 takes what is left."""
        return self.node("Reshape", [x, self.integers(shape)])

    def output(self, x: str, shape: Sequence[Optional[int]], name: str = "output") -> None:
        """Says what the model gives."""
        if self._output is not None:
            raise ValueError("the model has an output already")
        self._nodes.append(text_field(1, x) + text_field(2, name) + text_field(3, name) + text_field(4, "Identity"))
        self._output = (name, list(shape))

    # Writing

    def encode(self) -> bytes:
        """:raises ValueError: when ``output`` was not called."""
        if self._output is None:
            raise ValueError("the model has no output: call output(...)")
        graph = b"".join(bytes_field(1, node) for node in self._nodes) + text_field(2, "graph")
        graph += b"".join(bytes_field(5, tensor) for tensor in self._initializers)
        graph += bytes_field(11, _value_info(self.input, self._input_shape)) + bytes_field(12, _value_info(*self._output))
        opset = text_field(1, "") + integer_field(2, OPSET)
        return integer_field(1, IR_VERSION) + text_field(2, self._producer) + bytes_field(7, graph) + bytes_field(8, opset)

    def save(self, path: Union[str, "os.PathLike[str]"]) -> None:
        """Writes the file as a whole: a reader never sees a part of it."""
        target = Path(path)
        partial = target.with_name(f".{target.name}.partial")
        partial.write_bytes(self.encode())
        os.replace(partial, target)

    def _name(self, what: str) -> str:
        self._count += 1
        return f"{what}_{self._count}"

    def _given(self, value: Any) -> str:
        return value if isinstance(value, str) else self.tensor(value)

    def _initializer(self, data_type: int, dims: Sequence[int], data: bytes) -> str:
        name = self._name("weights")
        shape = b"".join(integer_field(1, dim) for dim in dims)
        self._initializers.append(shape + integer_field(2, data_type) + text_field(8, name) + bytes_field(9, data))
        return name


def _floats(values: Any, shape: Optional[Sequence[int]]) -> Tuple[bytes, List[int]]:
    """Little-endian float32 and the shape of nested lists, arrays of NumPy or PyTorch, or a flat sequence."""
    known = [int(edge) for edge in values.shape] if hasattr(values, "shape") else None
    if hasattr(values, "tolist"):
        values = values.tolist()
    flat: "array[float]" = array("f")
    dims = _flatten(values, flat)
    if known is not None:
        dims = known
    if shape is not None:
        dims = [int(edge) for edge in shape]
    count = 1
    for edge in dims:
        count *= edge
    if count != len(flat):
        raise ValueError(f"{len(flat)} values do not fill the shape {dims}")
    if sys.byteorder == "big":
        flat.byteswap()
    return flat.tobytes(), dims


def _flatten(values: Any, into: "array[float]") -> List[int]:
    if not hasattr(values, "__len__"):
        into.append(values)
        return []
    if len(values) > 0 and not hasattr(values[0], "__len__"):
        into.extend(array("f", values))
        return [len(values)]
    edges = [_flatten(one, into) for one in values]
    if any(edge != edges[0] for edge in edges):
        raise ValueError("the lists inside of a list must be of one length")
    return [len(values), *(edges[0] if edges else [])]


# Messages with the fields of onnx.proto.


def _attribute(name: str, value: Attribute) -> bytes:
    if isinstance(value, (bool, int)):
        return text_field(1, name) + integer_field(3, int(value)) + integer_field(20, 2)
    if isinstance(value, float):
        return text_field(1, name) + float_field(2, value) + integer_field(20, 1)
    if isinstance(value, str):
        return text_field(1, name) + text_field(4, value) + integer_field(20, 3)
    if any(isinstance(one, float) for one in value):
        return text_field(1, name) + b"".join(float_field(7, one) for one in value) + integer_field(20, 6)
    return text_field(1, name) + b"".join(integer_field(8, int(one)) for one in value) + integer_field(20, 7)


def _value_info(name: str, shape: Sequence[Optional[int]]) -> bytes:
    edges = [text_field(2, "N" if at == 0 else f"D{at}") if edge is None else integer_field(1, edge) for at, edge in enumerate(shape)]
    dims = b"".join(bytes_field(1, edge) for edge in edges)
    return text_field(1, name) + bytes_field(2, bytes_field(1, integer_field(1, _FLOAT) + bytes_field(2, dims)))
