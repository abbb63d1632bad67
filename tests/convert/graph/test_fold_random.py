"""What folding computes is what onnxruntime computes: value, rank and element type, for random nodes."""

from collections.abc import Callable, Iterator

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import helper, numpy_helper

from convert.graph.fold import fold_constants

FLOATS = (np.float32, np.float16, np.float64)
WHOLE = (np.int64, np.int32, np.int8, np.uint8, np.int16, np.uint16, np.uint32, np.uint64)
ALL = (*FLOATS, *WHOLE, np.bool_)
Case = tuple[str, list[np.ndarray | None], dict[str, object], int]


class Random:
    """Operators of shape arithmetic and around it, with operands that are often scalars, often empty."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)

    def one_of(self, *values):
        return values[self.rng.integers(len(values))]

    def shape(self, least: int = 0) -> list[int]:
        return [int(size) for size in self.rng.choice([0, 1, 1, 2, 3], self.rng.integers(least, 4))]

    def narrower(self, shape: list[int]) -> list[int]:
        """A shape that broadcasts to another."""
        sizes = [size if self.rng.random() < 0.6 else 1 for size in shape]
        return sizes[self.rng.integers(len(sizes) + 1) :] if self.rng.random() < 0.3 else sizes

    def array(self, shape, kinds=ALL) -> np.ndarray:
        kind = np.dtype(self.one_of(*kinds))
        if kind.kind == "f":
            values = [0, -0.0, 0.5, 1, 1.5, 2.5, -2.5, -1, 3, 7, -7, self.rng.normal()]
        else:
            values = [0, 1, 2, 3, 7] if kind.kind in "ub" else [0, 1, 3, 7, -1, -2, -7]
        return np.asarray(self.rng.choice(values, shape)).astype(kind)

    def axis(self, shape: list[int]) -> int:
        return int(self.rng.integers(-len(shape), len(shape)))

    def kind(self) -> int:
        return int(helper.np_dtype_to_tensor_dtype(np.dtype(self.one_of(*ALL))))

    def pair(self) -> list[np.ndarray | None]:
        shape = self.shape()
        first = self.array(shape)
        return [first, self.array(self.narrower(shape), [first.dtype])]

    def arithmetic(self) -> Case:
        op = self.one_of(
            "Add", "Sub", "Mul", "Div", "Mod", "Pow", "Max", "Min", "Equal", "Less", "GreaterOrEqual", "And"
        )
        first, second = self.pair()
        if op in ("Div", "Mod") and second.dtype.kind in "iu":
            second = np.where(second == 0, second.dtype.type(3), second)
        return op, [first, second], {"fmod": int(first.dtype.kind == "f")} if op == "Mod" else {}, 1

    def unary(self) -> Case:
        op = self.one_of(
            "Neg", "Abs", "Floor", "Ceil", "Round", "Sqrt", "Exp", "Not", "Sign", "Relu", "Sigmoid", "Size"
        )
        return op, [self.array(self.shape())], {}, 1

    def cast(self) -> Case:
        return "Cast", [np.abs(self.array(self.shape(), (*FLOATS, *WHOLE)))], {"to": self.kind()}, 1

    def gather(self) -> Case:
        shape = self.shape(1)
        axis = self.axis(shape)
        shape[axis] = max(shape[axis], 1)
        index = np.asarray(self.rng.integers(-shape[axis], shape[axis], self.shape()), self.one_of(np.int64, np.int32))
        return "Gather", [self.array(shape), index], {"axis": axis}, 1

    def slice(self) -> Case:
        shape = self.shape(1)
        axis = self.axis(shape)
        step = self.one_of(1, 2, -1, -2)
        end = self.one_of(-1, 2, 2**63 - 1) if step > 0 else self.one_of(-(2**63), -3, 0)
        bounds = [self.rng.integers(-4, 5), end, axis, step]
        return "Slice", [self.array(shape), *(np.array([bound], np.int64) for bound in bounds)], {}, 1

    def join(self) -> Case:
        shape = self.shape(1)
        axis = self.axis(shape)
        other = [*shape]
        other[axis] = int(self.rng.integers(3))
        first = self.array(shape)
        return "Concat", [first, self.array(other, [first.dtype])], {"axis": axis}, 1

    def rank(self) -> Case:
        shape = self.shape()
        position = int(self.rng.integers(len(shape) + 1))
        if self.rng.random() < 0.4:
            return "Unsqueeze", [self.array(shape), np.array([position])], {}, 1
        shape.insert(position, 1)
        return "Squeeze", [self.array(shape), np.array([position])], {}, 1

    def reshape(self) -> Case:
        data = self.array(self.shape())
        whole = [[], [1], [1, 1]] if data.size == 1 else [[data.size], [data.size, 1], [1, data.size]]
        return "Reshape", [data, np.array(self.one_of(*whole), np.int64)], {"allowzero": 1}, 1

    def where(self) -> Case:
        first, second = self.pair()
        return "Where", [self.array(self.narrower(list(first.shape)), [np.bool_]), first, second], {}, 1

    def range(self) -> Case:
        kind = self.one_of(np.int64, np.int32, np.float32, np.float64)
        return "Range", [np.array(self.one_of(*values), kind) for values in ((-4, 0), (-5, 0, 7), (1, 2, -1, 3))], {}, 1

    def fill(self) -> Case:
        value = {"value": numpy_helper.from_array(self.array([1]))} if self.rng.random() < 0.7 else {}
        return "ConstantOfShape", [np.array(self.shape(), np.int64)], value, 1

    def repeat(self) -> Case:
        shape = self.shape()
        if self.rng.random() < 0.5:
            return "Tile", [self.array(shape), self.rng.integers(0, 3, len(shape))], {}, 1
        return "Expand", [self.array(self.narrower(shape)), np.array(shape, np.int64)], {}, 1

    def transpose(self) -> Case:
        shape = self.shape(1)
        return "Transpose", [self.array(shape)], {"perm": [int(axis) for axis in self.rng.permutation(len(shape))]}, 1

    def reduce(self) -> Case:
        shape = self.shape()
        op = self.one_of("ReduceMax", "ReduceMin", "ReduceMean", "ReduceProd", "ReduceSumSquare", "ArgMax", "ReduceSum")
        if op == "ArgMax":
            shape = shape or [2]
            return op, [self.array(shape)], {"axis": self.axis(shape), "keepdims": int(self.rng.integers(2))}, 1
        axes = [self.axis(shape)] if shape and self.rng.random() < 0.6 else []
        if op == "ReduceSum":
            return op, [self.array(shape), np.array(axes, np.int64)], {"keepdims": int(self.rng.integers(2))}, 1
        return op, [self.array(shape)], {"keepdims": int(self.rng.integers(2)), **({"axes": axes} if axes else {})}, 1

    def best(self) -> Case:
        shape = self.shape(1)
        axis = self.axis(shape)
        return "TopK", [self.array(shape), np.array([self.rng.integers(shape[axis] + 1)])], {"axis": axis}, 2

    def pad(self) -> Case:
        shape = self.shape()
        data = self.array(shape)
        value = [self.array([], [data.dtype])] if self.rng.random() < 0.6 else []
        return "Pad", [data, self.rng.integers(0, 3, 2 * len(shape)), *value], {}, 1

    def split(self) -> Case:
        shape = self.shape(1)
        axis = self.axis(shape)
        first = int(self.rng.integers(shape[axis] + 1))
        return "Split", [self.array(shape), np.array([first, shape[axis] - first])], {"axis": axis}, 2

    def scatter(self) -> Case:
        op = self.one_of("ScatterND", "ScatterElements", "GatherND", "GatherElements", "CumSum", "Trilu", "NonZero")
        data = self.array([3, 2])
        if op.startswith("Scatter"):
            index, rows = ([[0], [2]], 2) if op == "ScatterND" else ([[0, -1]], 1)
            return op, [data, np.array(index), self.array([rows, 2], [data.dtype])], {}, 1
        if op.startswith("Gather"):
            return op, [data, self.rng.integers(-2, 2, (2, 2))], {}, 1
        axis = {"CumSum": [np.array(self.axis([3, 2]))], "Trilu": [np.array(self.one_of(-1, 0, 1))]}
        return op, [self.array(self.shape()) if op == "NonZero" else data, *axis.get(op, [])], {}, 1

    def clip(self) -> Case:
        data = self.array(self.shape())
        low, high = (self.array([], [data.dtype]) if self.rng.random() < 0.7 else None for _ in range(2))
        return "Clip", [data, low, high], {}, 1

    def part_of_shape(self) -> Case:
        bounds = {name: int(self.rng.integers(-4, 5)) for name in ("start", "end") if self.rng.random() < 0.6}
        return "Shape", [self.array(self.shape())], bounds, 1

    def resize(self) -> Case:
        scales = np.array([1, 1, 2, 2], np.float32)
        return "Resize", [self.array([1, 1, 2, 2]), None, scales], {"mode": self.one_of("nearest", "linear")}, 1

    def cases(self, count: int) -> Iterator[Case]:
        makers: list[Callable[[], Case]] = [
            self.arithmetic, self.unary, self.cast, self.gather, self.slice, self.join, self.rank, self.reshape,
            self.where, self.range, self.fill, self.repeat, self.transpose, self.reduce, self.best, self.pad,
            self.split, self.scatter, self.clip, self.part_of_shape, self.resize,
        ]  # fmt: skip
        for index in range(count):
            yield makers[index % len(makers)]()


def model_of(cases: list[Case]) -> onnx.ModelProto:
    nodes, weights, outputs = [], [], []
    for index, (op, operands, attributes, count) in enumerate(cases):
        names = [f"i{index}.{place}" if operand is not None else "" for place, operand in enumerate(operands)]
        weights += [numpy_helper.from_array(a, name) for a, name in zip(operands, names, strict=True) if name]
        made = [f"v{index}.{place}" for place in range(count)]
        nodes.append(helper.make_node(op, names, made, **attributes))
        # What makes an output of the graph is never folded, so that the folded value is read by one more node.
        nodes += [helper.make_node("Identity", [name], [f"y{name}"]) for name in made]
        outputs += [onnx.ValueInfoProto(name=f"y{name}") for name in made]
    graph = helper.make_graph(nodes, "random", [], outputs, weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 16)], ir_version=8)


def run(model: onnx.ModelProto) -> dict[str, np.ndarray] | None:
    """By onnxruntime as it stands; None if it has no such operator."""
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    try:
        session = ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
        names = [output.name for output in session.get_outputs()]
        return dict(zip(names, session.run(names, {}), strict=True))
    except (ort.capi.onnxruntime_pybind11_state.NotImplemented, ort.capi.onnxruntime_pybind11_state.Fail,
            ort.capi.onnxruntime_pybind11_state.InvalidGraph, ort.capi.onnxruntime_pybind11_state.InvalidArgument,
            ort.capi.onnxruntime_pybind11_state.RuntimeException):  # fmt: skip
        return None


@pytest.mark.parametrize("seed", range(4))
def test_value_rank_and_element_type_are_those_of_onnxruntime(seed):
    legal = [case for case in Random(seed).cases(210) if run(model_of([case])) is not None]
    model = model_of(legal)
    folded = fold_constants(model)
    kept = {node.op_type for node in folded.graph.node} - {"Identity"}
    assert kept <= {"ArgMax", "NonZero", "ReduceMax", "ReduceMean", "ReduceMin", "ReduceProd", "ReduceSum", "Resize",
                    "ReduceSumSquare", "Slice"}  # fmt: skip
    constants = {f"y{tensor.name}": numpy_helper.to_array(tensor) for tensor in folded.graph.initializer}
    exact = run(model)
    assert len(set(exact) & set(constants)) > 0.9 * len(exact)
    for name in sorted(set(exact) & set(constants)):
        wanted, found = exact[name], constants[name]
        case = legal[int(name[2:].split(".")[0])]
        assert (found.dtype, found.shape) == (wanted.dtype, wanted.shape), case
        tolerance = 2e-3 if wanted.dtype == np.float16 else 1e-6
        np.testing.assert_allclose(found, wanted, rtol=tolerance, atol=1e-6, err_msg=str(case))
    # And the folded graph runs to the same.
    again = run(folded)
    for name, wanted in exact.items():
        assert (again[name].dtype, again[name].shape) == (wanted.dtype, wanted.shape)
