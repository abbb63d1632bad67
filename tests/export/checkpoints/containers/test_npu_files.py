"""State dicts as torch.save writes them on an Ascend card: torch_npu replaces how tensors are pickled."""

import sys
import types
from collections import OrderedDict
from collections.abc import Callable
from enum import IntEnum
from pathlib import Path

import numpy as np
import pytest
import torch

from detector.errors import CheckpointError
from export.checkpoints.reader import read_checkpoint

Save = Callable[..., Path]


class Format(IntEnum):
    """torch_npu.npu._format.Format."""

    ND = 2


def rebuild(*_: object) -> None:
    raise AssertionError("nothing in a file is called")


class OnCard:
    """A tensor that is pickled as a call: `name` of `module`, with what `args` makes of it."""

    def __init__(self, tensor: torch.Tensor, args: Callable[[torch.Tensor], tuple[object, ...]]) -> None:
        self.tensor, self.args = tensor, args

    def __reduce_ex__(self, protocol: object) -> tuple[object, object]:
        return rebuild, self.args(self.tensor)


@pytest.fixture
def named(monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], None]:
    """Gives `rebuild` the name that a pickle shall hold."""

    def name_it(module: str, name: str) -> None:
        for part in ("torch_npu", "torch_npu.utils", "torch_npu.npu", module, "torch_npu.npu._format"):
            if part not in sys.modules:
                monkeypatch.setitem(sys.modules, part, types.ModuleType(part))
        monkeypatch.setattr(rebuild, "__module__", module)
        monkeypatch.setattr(rebuild, "__qualname__", name)
        monkeypatch.setattr(sys.modules[module], name, rebuild, raising=False)
        monkeypatch.setattr(Format, "__module__", "torch_npu.npu._format")
        monkeypatch.setattr(sys.modules["torch_npu.npu._format"], "Format", Format, raising=False)

    return name_it


def npu_arguments(layout: object) -> Callable[[torch.Tensor], tuple[object, ...]]:
    """What `torch_npu.utils.storage._reduce_ex` hands to `_rebuild_npu_tensor`."""
    return lambda tensor: (
        tensor._typed_storage(),
        tensor.storage_offset(),
        tuple(tensor.size()),
        tensor.stride(),
        False,
        OrderedDict(),
        layout,
    )


STATE = {"plain": torch.arange(6.0).reshape(2, 3), "turned": torch.arange(6.0).reshape(2, 3).t()}


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("layout", [2, Format.ND, False])
def test_tensors_saved_on_a_card_are_read(save: Save, named: Callable[[str, str], None], layout: object, legacy: bool):
    named("torch_npu.utils.storage", "_rebuild_npu_tensor")
    state = OrderedDict((name, OnCard(tensor, npu_arguments(layout))) for name, tensor in STATE.items())
    found = read_checkpoint(save({"state_dict": state}, legacy=legacy)).tensors
    assert {name: tensor.tolist() for name, tensor in found.items()} == {
        name: tensor.tolist() for name, tensor in STATE.items()
    }


@pytest.mark.parametrize("legacy", [False, True])
def test_places_of_storages_on_a_card_are_read(save: Save, monkeypatch: pytest.MonkeyPatch, legacy: bool):
    monkeypatch.setattr(torch.serialization, "location_tag", lambda _: "npu:0")
    path = save(STATE, legacy=legacy)
    assert b"npu:0" in path.read_bytes()
    assert torch.equal(read_checkpoint(path).tensors["turned"], STATE["turned"])


@pytest.mark.parametrize(
    ("module", "name", "args"),
    [
        ("torch._utils", "_rebuild_device_tensor_from_cpu_tensor", lambda t: (t, torch.float32, "npu:0", False)),
        ("torch._utils", "_rebuild_device_tensor_from_numpy", lambda t: (t.numpy(), torch.float32, "npu:0", False)),
        (
            "torch._tensor",
            "_rebuild_from_type_v2",
            lambda t: (t._reduce_ex_internal(2)[0], torch.Tensor, t_args(t), {"a": 1}),
        ),
        ("torch.tensor", "_rebuild_from_type", lambda t: (t._reduce_ex_internal(2)[0], torch.Tensor, t_args(t), {})),
    ],
)
@pytest.mark.parametrize("legacy", [False, True])
def test_other_ways_of_pickling_tensors_of_devices(
    save: Save, named: Callable[[str, str], None], module: str, name: str, args: Callable[..., tuple], legacy: bool
):
    named(module, name)
    path = save({name: OnCard(tensor, args) for name, tensor in STATE.items()}, legacy=legacy)
    assert torch.equal(read_checkpoint(path).tensors["turned"], STATE["turned"])


def t_args(tensor: torch.Tensor) -> tuple[object, ...]:
    return tensor._reduce_ex_internal(2)[1]


def test_only_functions_of_torch_rebuild_tensors_with_attributes(save: Save, named: Callable[[str, str], None]):
    named("torch._tensor", "_rebuild_from_type_v2")
    path = save({"a": OnCard(STATE["plain"], lambda t: (dict, torch.Tensor, ((),), {}))})
    with pytest.raises(CheckpointError, match="attributes that is rebuilt by no function of torch"):
        read_checkpoint(path)


@pytest.mark.parametrize("protocol", [2, 4, 5])
@pytest.mark.parametrize("legacy", [False, True])
def test_arrays_in_a_state_dict_are_tensors(save: Save, legacy: bool, protocol: int):
    state = {"c": np.arange(6, dtype=np.float32).reshape(2, 3), "f": np.asfortranarray(np.eye(2, 3)), "text": "x"}
    found = read_checkpoint(save({"state_dict": state}, legacy=legacy, pickle_protocol=protocol)).tensors
    assert {name: tensor.tolist() for name, tensor in found.items()} == {
        "c": [[0, 1, 2], [3, 4, 5]],
        "f": [[1, 0, 0], [0, 1, 0]],
    }
