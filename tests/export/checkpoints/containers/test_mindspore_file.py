import zlib
from pathlib import Path

import numpy as np
import pytest
import torch

from detector.errors import CheckpointError
from export.checkpoints.reader import read_checkpoint

DATA = Path(__file__).resolve().parents[3] / "data"


def varint(value: int) -> bytes:
    head = b""
    while value >= 0x80:
        head += bytes([value & 0x7F | 0x80])
        value >>= 7
    return head + bytes([value])


def field(number: int, data: bytes) -> bytes:
    return varint(number << 3 | 2) + varint(len(data)) + data


def parameter(
    name: str, values: np.ndarray, kind: str = "Float32", dims: list[int] | None = None, *, packed: bool = False
) -> bytes:
    """One message of a checkpoint, written here independently of the code that reads it."""
    shape = list(values.shape) if dims is None else dims
    extents = [varint(extent) for extent in shape]
    body = field(1, b"".join(extents)) if packed else b"".join(b"\x08" + extent for extent in extents)
    body += field(2, kind.encode()) + field(3, values.tobytes())
    return field(1, field(1, name.encode()) + field(2, body))


def write(path: Path, *messages: bytes, crc: bool = False) -> Path:
    data = b"".join(messages)
    path.write_bytes(data + (b"crc_num" + zlib.crc32(data).to_bytes(10, "big") if crc else b""))
    return path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "fcos.ckpt"


MATRIX = np.arange(6, dtype=np.float32).reshape(2, 3)


def recorded(file: str) -> dict[str, np.ndarray]:
    with np.load(DATA / "mindspore_ckpt.npz") as values:
        return {name.removeprefix(f"{file}/"): values[name] for name in values if name.startswith(f"{file}/")}


@pytest.mark.parametrize("name", ["types", "sliced", "crc"])
def test_a_genuine_file_holds_what_mindspore_reads_from_it(name: str):
    file = read_checkpoint(DATA / f"mindspore_{name}.ckpt")
    expected = recorded(name)
    # What training keeps, and a text, are no weights.
    left_out = expected.keys() - file.tensors.keys()
    assert left_out == ({"learning_rate", "global_step", "note"} if name == "types" else set())
    for key, tensor in file.tensors.items():
        assert str(tensor.dtype).removeprefix("torch.") == ("bfloat16" if key == "bfloat16" else expected[key].dtype)
        assert tensor.shape == expected[key].shape
        found = tensor.float().numpy() if key == "bfloat16" else tensor.numpy()
        np.testing.assert_array_equal(found, expected[key])


def test_a_genuine_encrypted_file_is_refused_by_name():
    with pytest.raises(CheckpointError, match="an encrypted MindSpore checkpoint: save it without enc_key"):
        read_checkpoint(DATA / "mindspore_encrypted.ckpt")


@pytest.mark.parametrize("packed", [False, True])
def test_dimensions_are_read_in_both_spellings(path: Path, packed: bool):
    file = read_checkpoint(write(path, parameter("a", MATRIX, packed=packed)))
    assert file.container == "mindspore"
    assert file.tensors["a"].tolist() == MATRIX.tolist()


@pytest.mark.parametrize(("dims", "shape"), [([], ()), ([0], ()), ([1], (1,)), ([1, 1], (1, 1))])
def test_scalars_of_old_and_new_files_have_no_dimensions(path: Path, dims: list[int], shape: tuple[int, ...]):
    file = read_checkpoint(write(path, parameter("a", np.float32(3)[None], dims=dims)))
    assert file.tensors["a"].shape == shape
    assert file.tensors["a"].item() == 3


def test_an_empty_tensor_is_empty(path: Path):
    assert read_checkpoint(write(path, parameter("a", np.empty((0, 3), np.float32)))).tensors["a"].shape == (0, 3)


def test_slices_of_one_parameter_are_joined(path: Path):
    slices = [parameter("a", row, dims=[2, 3]) for row in MATRIX]
    tensors = read_checkpoint(write(path, parameter("b", MATRIX), *slices, parameter("c", MATRIX))).tensors
    assert list(tensors) == ["b", "a", "c"]
    assert tensors["a"].tolist() == MATRIX.tolist()


def test_a_missing_slice_is_damage(path: Path):
    with pytest.raises(CheckpointError, match=r"a of shape \[2, 3\] and type torch.float32 has 12 bytes"):
        read_checkpoint(write(path, parameter("a", MATRIX[0], dims=[2, 3])))


@pytest.mark.parametrize("between", [[], [parameter("b", MATRIX)]])
def test_a_parameter_that_is_there_twice_is_damage(path: Path, between: list[bytes]):
    with pytest.raises(CheckpointError, match=r"a is there twice|a of shape \[2, 3\]"):
        read_checkpoint(write(path, parameter("a", MATRIX), *between, parameter("a", MATRIX)))


def test_the_checksum_is_verified(path: Path):
    good = write(path, parameter("a", MATRIX), crc=True)
    assert list(read_checkpoint(good).tensors) == ["a"]
    path.write_bytes(good.read_bytes().replace(MATRIX.tobytes(), (MATRIX + 1).tobytes()))
    with pytest.raises(CheckpointError, match=r"checksum \(crc_check\) is wrong"):
        read_checkpoint(path)


def test_a_genuine_checksum_is_verified(path: Path):
    data = bytearray((DATA / "mindspore_crc.ckpt").read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(CheckpointError, match=r"checksum \(crc_check\) is wrong"):
        read_checkpoint(path)


def test_what_training_keeps_is_left_out(path: Path):
    names = ["accum.fcos_body.a", "stat.fcos_body.a", "moments.fcos_body.a", "learning_rate", "momentum", "global_step"]
    names += ["epoch_num", "step_num", "loss_scale"]
    weights = ["fcos_body.a", "accumulated.a", "momentum.a"]
    file = read_checkpoint(write(path, *(parameter(name, MATRIX) for name in [*names, *weights])))
    assert list(file.tensors) == weights


def test_a_file_with_nothing_else_has_no_weights(path: Path):
    with pytest.raises(CheckpointError, match="holds no weights"):
        read_checkpoint(write(path, parameter("accum.fcos_body.a", MATRIX), parameter("momentum", MATRIX[0])))


def test_what_is_no_tensor_is_passed_over(path: Path):
    others = [
        field(2, b"resnet50"),  # model_type of very old files
        b"\x28\x07" + b"\x31" + b"8 bytes." + b"\x3d" + b"four",  # fields of a later version, in every wire type
        parameter("note", np.frombuffer("größer".encode("utf-32-le"), np.uint8), "str", [0]),
        parameter("quantized", np.ones(2, np.uint8), "Int4", [4]),
        field(1, field(1, b"table") + field(3, field(1, b"\x08\x01"))),  # a hash table
    ]
    assert list(read_checkpoint(write(path, parameter("a", MATRIX), *others)).tensors) == ["a"]


def test_an_unknown_type_is_named(path: Path):
    with pytest.raises(
        CheckpointError, match=r": a is of type 'Float8', which no weights of detectors are: save the network's float32"
    ):
        read_checkpoint(write(path, parameter("a", MATRIX, "Float8")))


def test_a_file_cut_inside_a_parameter_is_refused(path: Path):
    first, second = parameter("fcos_body.a", MATRIX), parameter("fcos_body.b", MATRIX)
    for length in range(len(first) + len(second)):
        path.write_bytes((first + second)[:length])
        if length == len(first):  # a list without an end: the dialect finds out what is missing
            assert list(read_checkpoint(path).tensors) == ["fcos_body.a"]
            continue
        with pytest.raises(CheckpointError, match=r"fcos\.ckpt"):
            read_checkpoint(path)


def test_long_names_and_large_dimensions_are_read(path: Path):
    name = "fcos_body." + "layer." * 40 + "weight"
    values = np.arange(300, dtype=np.float32).reshape(300, 1)
    tensors = read_checkpoint(write(path, parameter(name, values))).tensors
    assert torch.equal(tensors[name], torch.arange(300.0).reshape(300, 1))


def test_changing_a_tensor_does_not_reach_the_file(path: Path):
    before = write(path, parameter("a", MATRIX)).read_bytes()
    read_checkpoint(path).tensors["a"].zero_()
    assert path.read_bytes() == before
