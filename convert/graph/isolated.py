"""Onnx's own code in a process of its own: where it aborts, hangs or eats the memory, this process has an error.

Its checker, shape inference, version converter and reference operators read graphs of other people, and not every
illegal graph is refused there: some end the process (an assertion in C++), some take all memory or time.
"""

import contextlib
import faulthandler
import functools
import hashlib
import mmap
import os
import resource
import signal
from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import NoReturn

import onnx
from onnx.shape_inference import InferenceError
from onnx.version_converter import ConvertError

from detector.errors import PipelineError, SpecError
from detector.files.bounds import GRAPH_MEMORY, GRAPH_SECONDS, Bound

REFUSALS = (
    onnx.checker.ValidationError, InferenceError, ConvertError, RuntimeError, ValueError, TypeError, PipelineError,
)  # fmt: skip


class IllegalGraphError(SpecError):
    """Onnx's own code does not take a graph; the message is its reason."""


@contextlib.contextmanager
def naming(file: Path) -> Iterator[None]:
    """Put the file that a graph is from before the reason for which it is refused, if that does not name it."""
    try:
        yield
    except SpecError as error:
        if str(file) in str(error):
            raise
        raise SpecError(f"{file}: {error}") from error


_PLACE_BYTES = 256
_PLACE = mmap.mmap(-1, _PLACE_BYTES)  # shared with the copies


def at(place: str) -> None:
    """Note what the work is at, so that the message names it where the work does not come back from there."""
    _PLACE[:] = place.encode()[:_PLACE_BYTES].ljust(_PLACE_BYTES, b"\0")


class _Answer(Enum):
    DONE = b"D"
    REFUSED = b"R"
    OUT_OF_MEMORY = b"M"


def answered(work: Callable[[], bytes], *, of: onnx.ModelProto, key: Hashable, memory: Bound = GRAPH_MEMORY) -> bytes:
    """`isolated`, for a question that may have been asked of the same graph before: a few answers are remembered.

    Args:
        work: computes from the graph and the key alone.
        of: the graph.
        key: what is asked of it.
        memory: as for `isolated`.
    """
    digest = hashlib.sha256(of.SerializeToString(deterministic=True)).digest()
    return _answered(_Question((key, digest, memory.limit, GRAPH_SECONDS.limit), work, of.ByteSize(), memory))


@dataclass(frozen=True)
class _Question:
    key: Hashable
    work: Callable[[], bytes] = field(compare=False)
    size: int = field(compare=False)
    memory: Bound = field(compare=False)


@functools.lru_cache(maxsize=64)
def _answered(question: _Question) -> bytes:
    return isolated(question.work, size=question.size, memory=question.memory)


def isolated(work: Callable[[], bytes], *, size: int = 0, memory: Bound = GRAPH_MEMORY) -> bytes:
    """What `work` returns, computed in a copy of this process.

    Args:
        work: computes without side effects.
        size: bytes that the work may copy a few times beside the bound: those of the graph.
        memory: what it may take.

    Raises:
        IllegalGraphError: `work` raised an error of `REFUSALS`, was ended by a signal, or took more memory or time than
            the bounds allow.
        MemoryError: it did not come to its end with less memory than the bounds allow.
    """
    reader, writer = os.pipe()
    at("")
    wanted = _address_space() + memory.limit + 4 * size
    child = os.fork()
    if child == 0:
        os.close(reader)
        _run(work, writer, wanted)
    os.close(writer)
    finished = False
    try:
        with os.fdopen(reader, "rb") as pipe:
            answer = pipe.read()
        finished = True
    finally:
        if not finished:
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
    if answer[:1] not in (_Answer.DONE.value, _Answer.REFUSED.value) and _is_less(wanted):
        raise MemoryError  # whatever the copy died of
    return _read(answer, status, memory)


def _run(work: Callable[[], bytes], writer: int, memory: int) -> NoReturn:
    """The life of the copy; it never comes back into the code that it was copied from."""
    code = 1
    try:
        # An assertion that fails prints itself; this process's signal handlers are not the copy's business.
        faulthandler.disable()
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_DFL)
        _limit(resource.RLIMIT_AS, memory)
        _limit(resource.RLIMIT_CPU, GRAPH_SECONDS.limit)
        _limit(resource.RLIMIT_CORE, 0)
        answer = _answer(work)
        with os.fdopen(writer, "wb") as pipe:
            for part in answer:
                pipe.write(part)
        code = 0
    finally:
        os._exit(code)


def _answer(work: Callable[[], bytes]) -> tuple[bytes, bytes]:
    try:
        return _Answer.DONE.value, work()
    except MemoryError:
        return _Answer.OUT_OF_MEMORY.value, b""
    except REFUSALS as error:
        return _Answer.REFUSED.value, " ".join(str(error).split()).encode(errors="replace")


def _read(answer: bytes, status: int, memory: Bound) -> bytes:
    where = _PLACE[:].rstrip(b"\0").decode(errors="replace") or "it"
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        if number == signal.SIGXCPU:
            raise IllegalGraphError(f"{where} takes more than {GRAPH_SECONDS.limit} seconds; {GRAPH_SECONDS.refusal}")
        raise IllegalGraphError(
            f"onnx's own code ends with {signal.Signals(number).name} at {where}, so that it is not legal"
        )
    kind = answer[:1]
    if kind == _Answer.DONE.value:
        return answer[1:]
    if kind == _Answer.OUT_OF_MEMORY.value:
        raise IllegalGraphError(f"{where} takes more than {memory.limit:,} bytes of memory; {memory.refusal}")
    if kind == _Answer.REFUSED.value:
        raise IllegalGraphError(answer[1:].decode())
    raise RuntimeError(f"work on a graph ended with status {status} and without an answer")


def _limit(kind: int, value: int) -> None:
    _, hard = resource.getrlimit(kind)
    resource.setrlimit(kind, (value if hard == resource.RLIM_INFINITY else min(value, hard), hard))


def _is_less(memory: int) -> bool:
    """Whether this process may take less than that (`ulimit -v`)."""
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    return hard != resource.RLIM_INFINITY and hard < memory


def _address_space() -> int:
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0]) * resource.getpagesize()
