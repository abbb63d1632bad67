"""A model open in onnxruntime: what it takes and gives, and one execution. The seam that other stages use."""

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType, TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from detector.cli import require
from detector.errors import ArtifactError, DataError, PipelineError
from detector.products.again import EXPORT_AGAIN

# onnxruntime's element types that numpy has; ais_bench maps the same set (docs/facts/ais_bench.md, section 4.4).
DTYPES = {
    "tensor(float)": "float32",
    "tensor(float16)": "float16",
    "tensor(double)": "float64",
    "tensor(bool)": "bool",
    **{f"tensor({sign}int{bits})": f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)},
}
DYNAMIC = -1


@dataclass(frozen=True, slots=True)
class Tensor:
    """One input or output of a model; a dynamic axis is -1, as in an OM."""

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    @property
    def is_dynamic(self) -> bool:
        """Some axis has no fixed size."""
        return DYNAMIC in self.shape

    @property
    def num_bytes(self) -> int:
        """Bytes of the whole tensor, batch axis included; 0 if an axis is dynamic."""
        return 0 if self.is_dynamic else math.prod(self.shape) * self.dtype.itemsize

    def with_shape(self, shape: Sequence[int]) -> "Tensor":
        """The same tensor with its dynamic axes settled."""
        return Tensor(self.name, tuple(shape), self.dtype)

    def __str__(self) -> str:
        return f"{self.name!r} {list(self.shape)} {self.dtype}"


class Session:
    """A model loaded for the CPU; results depend on the input alone, not on batch size or thread count.

    Attributes:
        inputs: in model order.
        outputs: in model order, which is the order of the result files.
        version: of onnxruntime.
    """

    def __init__(self, model: Path | str, *, threads: int | None = None) -> None:
        """Load a model.

        Args:
            model: an ONNX file; external data is found beside it.
            threads: that share one execution; None takes all cores this process may use.

        Raises:
            MissingEnvironmentError: onnxruntime is not installed.
            ArtifactError: the file is no model, or has inputs or outputs that are no numeric tensors.
        """
        self._model = str(model)
        runtime = require("onnxruntime", extra="cpu", purpose="running a .onnx model on the CPU")
        self._errors = _runtime_errors()
        self.version = str(runtime.__version__)
        try:
            self._session = runtime.InferenceSession(
                self._model,
                _session_options(runtime, threads),
                providers=["CPUExecutionProvider"],
                enable_fallback=0,  # to the same provider, with banners on standard output
            )
        except self._errors as error:
            _raise_if_out_of_memory(error)
            raise ArtifactError(f"{model} cannot be loaded by onnxruntime: {_reason(error)}; {EXPORT_AGAIN}") from error
        self.inputs = tuple(self._tensor(value) for value in self._session.get_inputs())
        self.outputs = tuple(self._tensor(value) for value in self._session.get_outputs())
        if not self.inputs:
            raise ArtifactError(f"{model} has no inputs: there is nothing to run it on")

    def infer(self, feeds: Sequence[NDArray[Any]]) -> list[NDArray[Any]]:
        """Execute once.

        Args:
            feeds: one C-contiguous array per input, in model order, batch axis included.

        Returns:
            One array per output, in model order.

        Raises:
            DataError: a feed does not fit its input.
            PipelineError: the execution failed.
        """
        for feed, tensor in zip(feeds, self.inputs, strict=True):
            fits = feed.ndim == len(tensor.shape) and all(
                want in (DYNAMIC, got) for got, want in zip(feed.shape, tensor.shape, strict=True)
            )
            if not fits or feed.dtype != tensor.dtype:
                raise DataError(f"{self._model} takes {tensor}, got {list(feed.shape)} {feed.dtype}")
        named = {tensor.name: feed for tensor, feed in zip(self.inputs, feeds, strict=True)}
        try:
            outputs: list[NDArray[Any]] = self._session.run(None, named)
        except self._errors as error:
            _raise_if_out_of_memory(error)
            raise PipelineError(f"{self._model} failed while running: {_reason(error)}") from error
        return outputs

    def close(self) -> None:
        """Free the model's memory; the session cannot run again."""
        del self._session

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _tensor(self, value: Any) -> Tensor:
        if value.type not in DTYPES:
            raise ArtifactError(f"{self._model}: {value.name!r} is a {value.type}; expected one of {', '.join(DTYPES)}")
        shape = tuple(size if isinstance(size, int) and size >= 0 else DYNAMIC for size in value.shape)
        return Tensor(value.name, shape, np.dtype(DTYPES[value.type]))


def usable_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0))


def _session_options(runtime: ModuleType, threads: int | None) -> Any:
    """Every option that can change a result or a time, set here and nowhere else.

    The full optimisation level is what makes results independent of batch size and thread count: it computes
    convolutions in the blocked layout (NCHWc), where each output value is summed in one fixed order. At the lower
    levels convolutions become matrix products that are cut by thread, and a batch of one on two threads differs in
    the last bits from a batch of four (onnxruntime 1.31 on x86-64, dense outputs of FCOS ResNet-18, ResNet-50 and
    ResNeXt-50: up to 6e-5 px; none at this level).
    """
    options = runtime.SessionOptions()
    options.graph_optimization_level = runtime.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.execution_mode = runtime.ExecutionMode.ORT_SEQUENTIAL
    options.intra_op_num_threads = usable_cores() if threads is None else threads
    options.inter_op_num_threads = 1
    options.use_deterministic_compute = True
    options.log_severity_level = 4  # failures arrive as exceptions; the runtime need not print them too
    return options


def _runtime_errors() -> tuple[type[Exception], ...]:
    """The exceptions of onnxruntime, which have no common base of their own."""
    state: Any = require("onnxruntime.capi.onnxruntime_pybind11_state", extra="cpu", purpose="running a .onnx model")
    names = ("Fail", "InvalidArgument", "InvalidGraph", "InvalidProtobuf", "NoModel", "NoSuchFile")
    own = (getattr(state, name) for name in (*names, "NotImplemented", "RuntimeException", "EPFail", "EngineError"))
    return (*own, UnicodeDecodeError)  # which its message becomes where it quotes a damaged name


def _raise_if_out_of_memory(error: Exception) -> None:
    """Onnxruntime's own allocator, and C++ below it, report a want of memory as any other failure."""
    if any(sign in str(error) for sign in ("Failed to allocate memory", "bad_alloc", "bad allocation")):
        raise MemoryError(_reason(error)) from error


def _reason(error: Exception) -> str:
    return " ".join(str(error).split())[:500]
