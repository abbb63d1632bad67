import contextlib
import os
import resource
from pathlib import Path

import numpy as np
import onnx
import pytest

from convert.graph.isolated import IllegalGraphError, answered, at, isolated, naming
from detector.errors import SpecError


def test_the_answer_comes_back_whole():
    data = os.urandom(300_000)
    assert isolated(lambda: data) == data


def test_what_the_work_changes_stays_there():
    seen = []
    isolated(lambda: seen.append(os.getpid()) or b"")
    assert seen == []


def test_what_was_asked_of_the_same_graph_is_not_computed_again(monkeypatch):
    def ask(key, name):
        return answered(lambda: os.urandom(8), of=onnx.ModelProto(producer_name=name), key=key)

    first = ask("a", "x")
    assert ask("a", "x") == first
    assert first not in {ask("b", "x"), ask("a", "y")}
    monkeypatch.setenv("OMLINE_MAX_GRAPH_SECONDS", "50")
    assert ask("a", "x") != first


def test_a_refusal_is_not_remembered():
    monday = onnx.ModelProto(producer_name="monday")
    with pytest.raises(IllegalGraphError, match="not there"):
        answered(lambda: _refuse("not there"), of=monday, key=None)
    assert answered(lambda: b"there", of=monday, key=None) == b"there"


def _refuse(reason):
    raise ValueError(reason)


@pytest.mark.parametrize("error", [ValueError, RuntimeError, SpecError])
def test_a_refusal_keeps_its_reason_in_one_line(error):
    def work():
        raise error("no such\n operator")

    with pytest.raises(IllegalGraphError, match=r"^no such operator$"):
        isolated(work)


def test_an_abort_is_an_error_here():
    with pytest.raises(IllegalGraphError, match="ends with SIGABRT at it, so that it is not legal"):
        isolated(os.abort)


def test_memory_is_bounded_before_it_is_taken(monkeypatch):
    monkeypatch.setenv("OMLINE_MAX_GRAPH_MEMORY", str(2**24))
    with pytest.raises(IllegalGraphError, match=r"more than 16,777,216 bytes of memory.*set OMLINE_MAX_GRAPH_MEMORY"):
        isolated(lambda: np.ones(2**28, np.uint8).tobytes())
    assert isolated(lambda: np.ones(2**25, np.uint8).tobytes()[:1], size=2**25) == b"\1"


def test_what_dies_with_less_memory_than_it_may_take_lacks_memory(monkeypatch):
    few = (resource.RLIM_INFINITY, 2**35)
    monkeypatch.setattr(resource, "getrlimit", lambda _: few)
    monkeypatch.setenv("OMLINE_MAX_GRAPH_MEMORY", str(2**36))
    for end in (os.abort, lambda: os._exit(1)):
        with pytest.raises(MemoryError):
            isolated(end)
    monkeypatch.setenv("OMLINE_MAX_GRAPH_MEMORY", str(2**24))
    with pytest.raises(IllegalGraphError, match="SIGABRT"):
        isolated(os.abort)


def test_time_is_bounded(monkeypatch):
    monkeypatch.setenv("OMLINE_MAX_GRAPH_SECONDS", "1")

    def forever():
        while True:
            pass

    with pytest.raises(IllegalGraphError, match=r"more than 1 seconds.*set OMLINE_MAX_GRAPH_SECONDS"):
        isolated(forever)


def test_where_the_work_was_is_named(monkeypatch):
    def ended_by(end):
        def work():
            isolated(lambda: at("elsewhere") or b"")
            at(f"node {'é' * 300!r}")
            at("node 'a' (Tile)")
            end()

        return work

    monkeypatch.setenv("OMLINE_MAX_GRAPH_MEMORY", str(2**24))
    with pytest.raises(IllegalGraphError, match=r"^node 'a' \(Tile\) takes more than 16,777,216 bytes"):
        isolated(ended_by(lambda: np.ones(2**28, np.uint8)))
    with pytest.raises(IllegalGraphError, match=r"ends with SIGABRT at node 'a' \(Tile\), so"):
        isolated(ended_by(os.abort))
    with pytest.raises(IllegalGraphError, match=r"ends with SIGABRT at it, so"):
        isolated(os.abort)


def test_the_file_is_named_once(tmp_path):
    for told in ("a node", f"{tmp_path}: a node"):
        with pytest.raises(SpecError, match=rf"^{tmp_path}: a node$"), naming(tmp_path):
            raise SpecError(told)


def test_work_within_work_ends_like_any_other():
    assert isolated(lambda: isolated(lambda: b"inner")) == b"inner"
    with pytest.raises(IllegalGraphError, match="ends with SIGABRT"):
        isolated(lambda: isolated(os.abort))


def children() -> set[str]:
    """Processes of this one that nobody has waited for; other tests may have left a helper of multiprocessing."""
    return {pid for file in Path("/proc/self/task").glob("*/children") for pid in file.read_text().split()}


def test_no_process_is_left():
    before = children()
    for work in (lambda: b"", os.abort):
        with contextlib.suppress(IllegalGraphError):
            isolated(work)
    assert children() <= before
