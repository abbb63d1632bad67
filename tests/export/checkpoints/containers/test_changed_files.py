"""Files changed or made by chance: a CheckpointError or a right answer, in reasonable memory."""

import io
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from export.checkpoints.reader import read_checkpoint
from tests.export.checkpoints.containers.crafted_files import (
    entry,
    parameter,
    peak_of_reading,
    pickled,
    safetensors,
)

MANY = settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])


def genuine() -> dict[str, bytes]:
    """A small file of every container, each of the same two tensors."""
    arrays = {"a": np.arange(6, dtype=np.float32).reshape(2, 3), "b.c": np.array(2, np.int64)}
    tensors = {name: torch.from_numpy(array) for name, array in arrays.items()}
    files = {}
    for name, legacy in (("zip", False), ("legacy", True)):
        stream = io.BytesIO()
        torch.save({"model": tensors}, stream, _use_new_zipfile_serialization=not legacy)
        files[name] = stream.getvalue()
    for protocol in (2, 4, 5):
        files[f"pickle {protocol}"] = pickle.dumps({"model": arrays, "__author__": "x"}, protocol=protocol)
    files["mindspore"] = parameter("a", b"\x08\x02\x08\x03", "Float32", arrays["a"].tobytes()) + parameter(
        "b.c", b"", "Int64", arrays["b.c"].tobytes()
    )
    header = b'{"a":' + entry(shape="[2,3]", offsets="[0,24]") + b',"b.c":' + entry("I64", "[]", "[24,32]") + b"}"
    files["safetensors"] = safetensors(header, arrays["a"].tobytes() + arrays["b.c"].tobytes())
    return files


GENUINE = genuine()


@pytest.mark.parametrize("data", GENUINE.values(), ids=GENUINE.keys())
def test_what_the_mutations_start_from_is_read(tmp_path: Path, data: bytes):
    path = tmp_path / "genuine"
    path.write_bytes(data)
    tensors = read_checkpoint(path).tensors
    assert tensors["a"].tolist() == [[0, 1, 2], [3, 4, 5]]
    assert (tensors["b.c"].dtype, tensors["b.c"].item()) == (torch.int64, 2)


@pytest.mark.parametrize("data", GENUINE.values(), ids=GENUINE.keys())
@MANY
@given(draw=st.data())
def test_changed_bytes_give_an_error_or_an_answer(tmp_path: Path, data: bytes, draw: st.DataObject):
    changed = bytearray(data)
    for _ in range(draw.draw(st.integers(1, 4))):
        start = draw.draw(st.integers(0, len(changed)))
        stop = min(len(changed), start + draw.draw(st.integers(0, 4)))
        changed[start:stop] = draw.draw(st.binary(max_size=4))
    path = tmp_path / "changed"
    path.write_bytes(changed)
    file, peak = peak_of_reading(path)
    assert peak <= 4 * len(changed) + 2**18  # small files: imports' caches, messages
    for tensor in file.tensors.values() if file else ():
        tensor.clone()  # nothing lies outside the file


@pytest.mark.parametrize("data", GENUINE.values(), ids=GENUINE.keys())
def test_a_file_cut_anywhere_is_refused_or_lacks_whole_tensors(tmp_path: Path, data: bytes):
    path = tmp_path / "cut"
    for length in range(len(data) - 1, 0, -7 if len(data) > 1000 else -1):
        path.write_bytes(data[:length])
        file, _ = peak_of_reading(path)
        # A MindSpore file is a list without an end: cut between two parameters it is a shorter list.
        assert file is None or (file.container == "mindspore" and list(file.tensors) == ["a"])


STARTS = (
    b"",
    b"\x80\x02",
    b"\x80\x04",
    b"\x80\x05",
    b"PK\x03\x04",
    bytes.fromhex("80028a0a6cfc9c46f9206aa850192e"),
    b"\x0a\x20\x0a\x01a\x12",
    parameter("a"),
    (40).to_bytes(8, "little") + b"{",
)


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(start=st.sampled_from(STARTS), rest=st.binary(max_size=300))
def test_any_bytes_give_an_error_or_an_answer(tmp_path: Path, start: bytes, rest: bytes):
    path = tmp_path / "any"
    path.write_bytes(start + rest)
    file, peak = peak_of_reading(path)
    assert peak <= 4 * len(start + rest) + 2**18
    if file is not None:
        assert file.container in ("mindspore", "pickle")  # the others have more to them than chance gives


OPCODES = st.sampled_from([
    *(bytes([code]) for code in b"N()]}lt\x85\x86\x87d20\x88\x89\x8f\x90\x91\x94.RbsuaeoQ1\x81\x92\x93"),
    *(b"K\x01", b"X\x01\0\0\0a", b"h\0", b"q\0", b"C\x04abcd", b"ctorch\nSize\n", b"ccollections\nOrderedDict\n"),
    *(b"cnumpy\ndtype\n", b"cnumpy.core.multiarray\n_reconstruct\n", b"c_codecs\nencode\n", b"ca\nb\n"),
    *(b"ctorch._utils\n_rebuild_tensor_v2\n", b"cnumpy._core.numeric\n_frombuffer\n", b"ctorch\nFloatStorage\n"),
    *(b"\x8c\x02f4", b"\x8c\x06latin1", b"K\x04", b"\x8a\x09" + b"\xff" * 9),
])  # fmt: skip


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(opcodes=st.lists(OPCODES, max_size=60))
def test_any_program_of_a_pickle_gives_an_error_or_an_answer(tmp_path: Path, opcodes: list[bytes]):
    data = pickled(b"".join(opcodes))
    path = tmp_path / "program.pkl"
    path.write_bytes(data)
    _, peak = peak_of_reading(path)
    assert peak <= 4 * len(data) + 2**18
