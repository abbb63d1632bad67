"""The stand-in for aclruntime, used as ais_bench uses it; the genuine tool over it: test_conformance.py."""

import importlib
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from infer.session import Session
from tests.infer.conftest import sample


@pytest.fixture
def aclruntime(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(Path(__file__).with_name("shim"))
    return importlib.import_module("aclruntime")


@pytest.fixture
def opened(aclruntime: ModuleType, world: Path) -> Any:
    """Opens a model of the world as ais_bench opens an OM."""

    def open_model(name: str, loop: int = 1) -> Any:
        aclruntime.MemorySummary().reset()
        options = aclruntime.session_options()
        options.loop = loop
        return aclruntime.InferenceSession(f"{name}.onnx", 0, options)

    return open_model


def run(aclruntime: ModuleType, session: Any, array: np.ndarray) -> list[np.ndarray]:
    """One execution, fed by address and read back, as ais_bench's default mode does."""
    feed = aclruntime.BaseTensor(array.__array_interface__["data"][0], array.nbytes)
    outputs = session.run([tensor.name for tensor in session.get_outputs()], [feed])
    for output in outputs:
        output.to_host()
    return [np.array(output) for output in outputs]


def test_outputs_are_those_of_our_session(aclruntime: ModuleType, opened: Any):
    batch = np.concatenate([sample(number) for number in range(4)])
    with Session("b4.onnx") as ours:
        expected = ours.infer([batch])
    for theirs, wanted in zip(run(aclruntime, opened("b4"), batch), expected, strict=True):
        assert theirs.dtype == wanted.dtype
        assert np.array_equal(theirs, wanted)


def test_times_are_taken_as_the_device_layer_takes_them(aclruntime: ModuleType, opened: Any):
    session = opened("b4", loop=3)
    run(aclruntime, session, np.zeros((4, 3, 2), np.float32))
    times = session.sumary().exec_time_list
    assert len(times) == 3
    assert all(end >= start and float(np.float32(start)) == start for start, end in times)
    copies = aclruntime.MemorySummary()
    assert (len(copies.H2D_time_list), len(copies.D2H_time_list)) == (1, 4)
    session.reset_sumaryinfo()
    assert session.sumary().exec_time_list == []


def test_descriptions_tell_sizes_and_types(opened: Any):
    (tensor,) = opened("b4").get_inputs()
    assert (tensor.name, tensor.shape, tensor.size, tensor.realsize) == ("x", [4, 3, 2], 96, 96)
    assert [output.datatype for output in opened("b4").get_outputs()] == [9, 0, 1, 12]  # int64 float32 float16 bool


def test_a_gear_sets_the_real_size(opened: Any):
    session = opened("gears_batch")
    assert session.get_inputs()[0].realsize == 0
    session.set_dynamic_batchsize(2)
    assert session.get_inputs()[0].realsize == 2 * 3 * 64 * 96 * 4
    assert session.get_max_dym_batchsize() == 4


@pytest.mark.parametrize(
    ("model", "ask", "said"),
    [
        ("gears_batch", lambda s: s.set_dynamic_batchsize(3), "the dymBatch parameter is not correct"),
        ("gears_image", lambda s: s.set_dynamic_hw(64, 64), "the dymHW parameter is not correct"),
        ("gears_dims", lambda s: s.set_dynamic_dims("input:3,3,64,96"), "the dynamic_dims parameter is not correct"),
        ("gears_image", lambda s: s.set_dynamic_batchsize(1), "the dynamic_batch_size parameter is not specified"),
        ("b4", lambda s: s.set_dynamic_hw(1, 1), "the dynamic_image_size parameter is not specified"),
        ("b4", lambda s: s.set_dynamic_dims("x:1,1"), "the dynamic_dims parameter is not specified"),
    ],
)
def test_another_gear_fails_as_on_the_card(
    model: str, ask: Any, said: str, opened: Any, capsys: pytest.CaptureFixture[str]
):
    with pytest.raises(RuntimeError, match=r"\[-1\]\[ACL: general failure\]"):
        ask(opened(model))
    assert said in capsys.readouterr().out


def test_input_of_another_size_fails(aclruntime: ModuleType, opened: Any, capsys: pytest.CaptureFixture[str]):
    with pytest.raises(RuntimeError, match="ACL: general failure"):
        run(aclruntime, opened("b4"), np.zeros(5, np.float32))
    assert "[ERROR] check i:0 name:x in size:20 needsize:96 not match" in capsys.readouterr().out


def test_what_is_no_model_fails(aclruntime: ModuleType, world: Path, capsys: pytest.CaptureFixture[str]):
    with pytest.raises(RuntimeError, match="ACL: general failure"):
        aclruntime.InferenceSession("five/img1.bin", 0, aclruntime.session_options())
    assert "[ERROR] load model from file failed, model file is five/img1.bin" in capsys.readouterr().out


def test_it_calls_itself_the_version_that_ais_bench_wants():
    text = (Path(__file__).with_name("shim") / "aclruntime-0.0.2.dist-info/METADATA").read_text()
    assert "Name: aclruntime\nVersion: 0.0.2\n" in text
