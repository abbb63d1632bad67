import argparse
import collections
import contextlib
import os
import pathlib
import pickle
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detector.errors import CheckpointError
from export.checkpoints.containers.allowance import Allowance
from export.checkpoints.containers.damage import PICKLE_DAMAGE
from export.checkpoints.containers.pickle_names import Inert, StandIn, is_forbidden
from export.checkpoints.containers.unpickler import RestrictedUnpickler
from export.checkpoints.containers.window import Window
from export.checkpoints.reader import read_checkpoint


def load(data: bytes) -> object:
    return RestrictedUnpickler(Window(data), "FILE", Allowance(len(data))).load()


class Calls:
    """Pickles to a call of any function."""

    def __init__(self, function: Callable[..., object], *args: object) -> None:
        self.call = (function, args)

    def __reduce__(self) -> tuple[object, object]:
        return self.call


@pytest.mark.parametrize("container", ["zip", "legacy", "pickle"])
@pytest.mark.parametrize(
    ("function", "name"),
    [
        (os.system, r"(posix|nt)\.system"),
        (eval, r"eval"),
        (exec, "exec"),
        (subprocess.call, "(subprocess|commands)"),
        (open, r"(_?io|builtin\w*)\.open"),
    ],
)
def test_a_pickle_that_would_run_code_is_refused_and_runs_nothing(
    save: Callable[..., Path], tmp_path: Path, function: Callable[..., object], name: str, container: str
):
    trace = tmp_path / "trace"
    args = {eval: f"open({str(trace)!r}, 'w')", exec: f"open({str(trace)!r}, 'w')", open: str(trace)}
    attack = Calls(function, args.get(function, f"touch {trace}"))
    root = {"state_dict": {}, "meta": attack}
    if container == "pickle":
        path = tmp_path / "weights.pkl"
        path.write_bytes(pickle.dumps(root))
    else:
        path = save(root, legacy=container == "legacy")
    with pytest.raises(CheckpointError, match=rf"asks for \S*{name}.*nothing was run"):
        read_checkpoint(path)
    assert not trace.exists()


@pytest.mark.parametrize(
    "attack",
    [
        b"cos\nsystem\n(Vtouch X\ntR.",
        b"(Vtouch X\nios\nsystem\n.",
        b"(cos\nsystem\nVtouch X\no.",
        b"\x80\x04\x8c\x05posix\x8c\x06system\x93\x8c\x07touch X\x85R.",
        b"c__builtin__\n__import__\n(Vos\ntR.",
        b"cbuiltins\nopen\n.",
        b"ctorch.storage\n_load_from_bytes\n.",
        b"cnumpy.testing._private.utils\nrunstring\n.",
        b"\x80\x04\x8c\x08builtins\x8c\x0fgetattr.__new__\x93.",
    ],
)
def test_every_way_of_asking_for_a_function_is_seen(attack: bytes):
    with pytest.raises(CheckpointError, match="runs code"):
        load(attack)


def test_names_below_an_allowed_name_are_not_reached():
    # STACK_GLOBAL resolves dots: OrderedDict.__init__.__globals__ would be a way out.
    found = load(b"\x80\x04\x8c\x0bcollections\x8c\x20OrderedDict.__init__.__globals__\x93.")
    assert isinstance(found, StandIn)


def test_objects_of_unknown_classes_are_inert():
    value = load(pickle.dumps({"args": argparse.Namespace(lr=0.1), "path": pathlib.PurePosixPath("a"), "epoch": 3}))
    assert isinstance(value, dict)
    assert isinstance(value["args"], Inert)
    assert value["epoch"] == 3


def test_inert_lists_and_dictionaries_swallow_their_items():
    value = load(
        pickle.dumps([collections.deque([1, 2]), collections.Counter("aab"), collections.defaultdict(list, a=[1])])
    )
    assert isinstance(value, list)
    assert [item.name for item in value] == [
        "collections.deque",
        "collections.Counter",
        "collections.defaultdict",
    ]


def test_ordered_dictionaries_are_dictionaries():
    assert load(pickle.dumps(collections.OrderedDict(a=1), protocol=2)) == {"a": 1}


def test_state_changes_no_stand_in():
    # BUILD with slot state sets attributes of whatever is on the stack.
    found = load(b"\x80\x02cx\ny\nN}X\x04\x00\x00\x00nameK\x01s\x86b.")
    assert isinstance(found, StandIn)
    assert found.name == "x.y"


def test_a_function_of_ours_is_not_changed_by_state():
    data = b"\x80\x02ctorch._utils\n_rebuild_parameter\nN}X\x08\x00\x00\x00__code__K\x01s\x86b."
    assert load(data) is load(data)


@pytest.mark.parametrize(
    "data", [b"K\x01K\x02K\x03s.", b"K\x01K\x02a.", b"}K\x02a.", b"](K\x01K\x02u.", b"}(K\x01\x90."]
)
def test_only_containers_take_items(data: bytes):
    with pytest.raises(pickle.UnpicklingError, match="items for a"):
        load(data)


@pytest.mark.parametrize(
    "key",
    [
        b"N" + b"2\x86" * 60,  # hashing a tuple hashes what is in it, here 2**60 items
        b")" + b"\x85" * 30_000,  # and does so recursively
        b"\x8b\x10\x27\x00\x00" + b"\x01" * 10_000,  # the hash of an integer is not remembered
    ],
)
def test_keys_that_take_long_to_hash_are_not_hashed(key: bytes):
    assert list(load(b"}" + key.replace(b"2", b"q\x00h\x00") + b"Ns.").values()) == [None]  # type: ignore[attr-defined]


def test_short_tuples_are_keys():
    assert load(pickle.dumps({("a", 1): 2})) == {("a", 1): 2}


def test_bytes_stay_in_the_file():
    value = load(b"\x80\x04B\x05\x00\x00\x00abcde.")
    assert (value.start, value.size) == (7, 5)  # type: ignore[attr-defined]


def test_calling_anything_else_is_damage():
    with pytest.raises(pickle.UnpicklingError, match="call of int"):
        load(b"K\x01K\x02\x85R.")


@pytest.mark.parametrize(
    "data",
    [
        b"r\xff\xff\xff\xff",
        b"N" + b"r\xff\xff\xff\xff.",
        b"\x96\xff\xff\xff\xff\x0f\x00\x00\x00a.",
        b"\x8e" + b"\xff" * 7 + b"\x0fa.",
    ],
)
def test_absurd_lengths_allocate_nothing(data: bytes):
    with contextlib.suppress(*PICKLE_DAMAGE):
        load(data)


@settings(max_examples=500)
@given(st.binary(max_size=200))
def test_any_bytes_load_or_are_damage(data: bytes):
    with contextlib.suppress(CheckpointError, *PICKLE_DAMAGE):
        load(data)


GENUINE = pickle.dumps(
    {"meta": {"cfg": "x" * 50, "args": argparse.Namespace(a=[1, 2.5])}, "l": [{"a": (1,)}, {2, 3}, b"ab", None]}
)


@settings(max_examples=500)
@given(st.integers(0, len(GENUINE) * 8 - 1), st.integers(0, len(GENUINE) * 8 - 1))
def test_flipped_bits_load_or_are_damage(first: int, second: int):
    data = bytearray(GENUINE)
    for bit in (first, second):
        data[bit // 8] ^= 1 << bit % 8
    with contextlib.suppress(CheckpointError, *PICKLE_DAMAGE):
        load(bytes(data))


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("mmengine.logging.history_buffer", "HistoryBuffer"),
        ("mmcv.utils.config", "Config"),
        ("argparse", "Namespace"),
        ("numpy.core.multiarray", "scalar"),
        ("numpy", "dtype"),
        ("builtins", "getattr"),
        ("builtins", "set"),
        ("__main__", "TrainArgs"),
        ("operators", "Conv"),
        ("pathlib", "PosixPath"),
        ("types", "SimpleNamespace"),
    ],
)
def test_names_that_real_checkpoints_ask_for_are_not_forbidden(module: str, name: str):
    assert not is_forbidden(module, name)


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("os.path", "join"),
        ("sys", "modules"),
        ("importlib.util", "find_spec"),
        ("runpy", "run_path"),
        ("__builtin__", "eval"),
        ("torch", "load"),
    ],
)
def test_names_that_only_attacks_ask_for_are_forbidden(module: str, name: str):
    assert is_forbidden(module, name)


def test_messages_stay_short_whatever_a_pickle_asks_for():
    with pytest.raises(CheckpointError, match="asks for os") as refused:
        load(b"cos." + b"a" * 10_000 + b"\nsystem\n.")
    assert len(str(refused.value)) < 400
