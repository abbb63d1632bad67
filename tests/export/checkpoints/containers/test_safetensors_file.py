import json
from pathlib import Path

import pytest
import torch

from detector.errors import CheckpointError
from export.checkpoints.reader import read_checkpoint

DTYPES = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "I64": torch.int64,
    "I32": torch.int32,
    "I16": torch.int16,
    "I8": torch.int8,
    "U8": torch.uint8,
    "BOOL": torch.bool,
}


def write(path: Path, tensors: dict[str, torch.Tensor], *, pad: int = 0, **notes: str) -> Path:
    """A file as the safetensors library lays it out, written here independently of the code that reads it."""
    names = {dtype: name for name, dtype in DTYPES.items()}
    header: dict[str, object] = {"__metadata__": notes} if notes else {}
    data = b""
    for name, tensor in tensors.items():
        raw = tensor.contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()
        offsets = [len(data), len(data) + len(raw)]
        header[name] = {"dtype": names[tensor.dtype], "shape": list(tensor.shape), "data_offsets": offsets}
        data += raw
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8 + pad)
    path.write_bytes(len(text).to_bytes(8, "little") + text + data)
    return path


def sample() -> dict[str, torch.Tensor]:
    return {
        "matrix": torch.randn(3, 4),
        "scalar": torch.tensor(2.5),
        "empty": torch.empty(0, 3),
        **{name: torch.ones(3, dtype=dtype) for name, dtype in DTYPES.items()},
        "größe": torch.randn(2),
    }


@pytest.mark.parametrize("pad", [0, 1])
def test_tensors_come_out_as_they_went_in(tmp_path: Path, pad: int):
    # A padded header moves the data to addresses that do not suit its types.
    expected = sample()
    file = read_checkpoint(write(tmp_path / "model.safetensors", expected, pad=pad, format="ms"))
    assert file.container == "safetensors"
    assert file.meta == {"format": "ms"}
    assert list(file.tensors) == list(expected)
    for name, tensor in expected.items():
        torch.testing.assert_close(file.tensors[name], tensor, rtol=0, atol=0)


def test_changing_a_tensor_does_not_reach_the_file(tmp_path: Path):
    path = write(tmp_path / "model.safetensors", {"a": torch.ones(1000)})
    before = path.read_bytes()
    read_checkpoint(path).tensors["a"].zero_()
    assert path.read_bytes() == before


def test_a_cut_file_is_refused_at_any_byte(tmp_path: Path):
    path = write(tmp_path / "model.safetensors", {"a": torch.ones(3), "b": torch.ones(2)})
    data = path.read_bytes()
    for length in range(len(data)):
        path.write_bytes(data[:length])
        with pytest.raises(CheckpointError, match=r"model\.safetensors"):
            read_checkpoint(path)


def test_a_type_that_is_not_read_is_named(tmp_path: Path):
    path = write(tmp_path / "model.safetensors", {"a": torch.ones(4, dtype=torch.uint8)})
    path.write_bytes(path.read_bytes().replace(b'"U8"', b'"F8"'))
    with pytest.raises(
        CheckpointError, match=r"model\.safetensors: a is of type 'F8', which no weights of detectors are: save"
    ):
        read_checkpoint(path)


@pytest.mark.parametrize("twice", [b'"a"', b'"dtype"'])
def test_a_name_given_twice_is_an_error(tmp_path: Path, twice: bytes):
    header = b'{"a":{"dtype":"F32","dtype":"F32","shape":[1],"data_offsets":[0,4]}}'
    if twice == b'"a"':
        empty = b'"a":{"dtype":"F32","shape":[0],"data_offsets":[0,0]}'
        header = b"{" + empty + b"," + empty.replace(b"[0]", b"[1]").replace(b"0,0", b"0,4") + b"}"
    path = tmp_path / "model.safetensors"
    path.write_bytes(len(header).to_bytes(8, "little") + header + b"1234")
    with pytest.raises(CheckpointError, match=rf"{twice.decode().strip(chr(34))}' is there twice"):
        read_checkpoint(path)


def test_what_training_keeps_is_left_out_of_mindspores_files(tmp_path: Path):
    tensors = {name: torch.ones(2) for name in ("accum.fcos_body.a", "fcos_body.a", "step_num")}
    assert list(read_checkpoint(write(tmp_path / "a", tensors, format="ms")).tensors) == ["fcos_body.a"]
    assert list(read_checkpoint(write(tmp_path / "b", tensors, format="pt")).tensors) == list(tensors)
