import resource
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from detector.errors import CheckpointError
from export.checkpoints.reader import read_checkpoint

Save = Callable[..., Path]

DTYPES = [
    torch.float32,
    torch.float64,
    torch.float16,
    torch.bfloat16,
    torch.int64,
    torch.int32,
    torch.int16,
    torch.int8,
    torch.uint8,
    torch.bool,
]


def sample() -> dict[str, torch.Tensor]:
    base = torch.arange(24.0)
    return {
        "plain": torch.randn(3, 4),
        "scalar": torch.tensor(2.5),
        "empty": torch.empty(0, 3),
        "transposed": torch.randn(4, 5).t(),
        "view": base[6:12].reshape(2, 3),
        "same_storage": base,
        "parameter": torch.nn.Parameter(torch.randn(2)).data,
        **{str(dtype): torch.ones(3, dtype=dtype) for dtype in DTYPES},
    }


def assert_same(found: dict[str, torch.Tensor], expected: dict[str, torch.Tensor]) -> None:
    assert found.keys() == expected.keys()
    for name, tensor in expected.items():
        assert found[name].dtype == tensor.dtype
        torch.testing.assert_close(found[name], tensor, rtol=0, atol=0)


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("protocol", [2, 4, 5])
def test_tensors_come_out_as_they_went_in(save: Save, legacy: bool, protocol: int):
    expected = sample()
    file = read_checkpoint(save(OrderedDict(expected), legacy=legacy, pickle_protocol=protocol))
    assert file.container == ("torch-legacy" if legacy else "torch-zip")
    assert_same(file.tensors, expected)


def test_changing_a_tensor_does_not_reach_the_file(save: Save):
    path = save({"a": torch.ones(1000)})
    before = path.read_bytes()
    read_checkpoint(path).tensors["a"].zero_()
    assert path.read_bytes() == before


def test_torchscript_is_refused(tmp_path: Path):
    path = tmp_path / "script.pt"
    with zipfile.ZipFile(path, "w") as archive:
        for name in ("data.pkl", "constants.pkl", "code/__torch__.py"):
            archive.writestr(f"script/{name}", b"\x80\x02}.")
    with pytest.raises(CheckpointError, match="TorchScript"):
        read_checkpoint(path)


def test_another_zip_is_refused(tmp_path: Path):
    path = tmp_path / "weights.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("model.pth", b"x" * 100)
    with pytest.raises(CheckpointError, match="zip archive without a checkpoint"):
        read_checkpoint(path)


@pytest.mark.parametrize("legacy", [False, True])
def test_a_whole_pickled_network_is_refused(save: Save, legacy: bool):
    with pytest.raises(CheckpointError, match=r"save model\.state_dict\(\)"):
        read_checkpoint(save(torch.nn.Linear(2, 2), legacy=legacy))


@pytest.mark.parametrize("legacy", [False, True])
def test_a_checkpoint_cut_anywhere_is_refused(save: Save, tmp_path: Path, legacy: bool):
    data = save(
        {"state_dict": {"a": torch.randn(50), "b": torch.randn(3)}, "meta": {"cfg": "x"}}, legacy=legacy
    ).read_bytes()
    cut = tmp_path / "cut.pth"
    for length in range(1, len(data), 7):
        cut.write_bytes(data[:length])
        with pytest.raises(CheckpointError, match=r"cut\.pth"):
            read_checkpoint(cut)


def test_a_record_of_wrong_checksum_is_refused(save: Save):
    path = save({"a": torch.full((100,), 3.0)})
    data = path.read_bytes()
    path.write_bytes(data.replace(torch.full((100,), 3.0).numpy().tobytes(), torch.full((100,), 4.0).numpy().tobytes()))
    with pytest.raises(CheckpointError, match="checksum of weights/data/0 is wrong"):
        read_checkpoint(path)


def test_files_written_without_checksums_are_read(save: Save):
    torch.serialization.set_crc32_options(False)
    try:
        path = save({"a": torch.ones(5)})
    finally:
        torch.serialization.set_crc32_options(True)
    assert_same(read_checkpoint(path).tensors, {"a": torch.ones(5)})


@pytest.mark.parametrize("legacy", [False, True])
@settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_flipped_bits_never_give_another_error(save: Save, tmp_path: Path, legacy: bool, data: st.DataObject):
    expected = {"a": torch.arange(6.0).reshape(2, 3), "b.c": torch.tensor(2)}
    genuine = bytearray(save({"state_dict": expected, "meta": {"epoch": 1}}, legacy=legacy).read_bytes())
    for _ in range(data.draw(st.integers(1, 3))):
        bit = data.draw(st.integers(0, len(genuine) * 8 - 1))
        genuine[bit // 8] ^= 1 << bit % 8
    path = tmp_path / "flipped.pth"
    path.write_bytes(genuine)
    try:
        found = read_checkpoint(path).tensors
    except CheckpointError:
        return
    if not legacy:  # the zip container has checksums: what is read is what was written
        assert_same(found, expected)


def test_a_size_beyond_the_file_allocates_nothing(save: Save):
    path = save({"a": torch.ones(7)}, legacy=True)
    # The count 7 stands in the storage's persistent id and in its view: BININT1 7 (4b 07) after the location "cpu".
    data = path.read_bytes()
    assert data.count(b"K\x07") >= 1
    path.write_bytes(data.replace(b"K\x07", b"\x8a\x06\xff\xff\xff\xff\xff\x0f"))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(CheckpointError, match="truncated or damaged"):
        read_checkpoint(path)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000


def test_an_expanded_tensor_is_refused(save: Save):
    with pytest.raises(CheckpointError, match=r"shape \[1000000, 1000000\] in a storage of 1 elements"):
        read_checkpoint(save({"a": torch.ones(1).expand(1_000_000, 1_000_000)}))


def test_records_that_overlap_are_refused(save: Save, tmp_path: Path):
    # Each of them would be summed, so a small file could take any time.
    data = save({str(index): torch.full((1000,), float(index)) for index in range(5)}).read_bytes()
    with zipfile.ZipFile(tmp_path / "weights.pth") as archive:
        first = archive.getinfo("weights/data/0")
    path = tmp_path / "overlap.pth"
    size, more = first.file_size.to_bytes(4, "little") * 2, (len(data) // 2).to_bytes(4, "little") * 2
    assert data.count(size) >= 5
    path.write_bytes(data.replace(size, more))
    with pytest.raises(CheckpointError, match=r"overlap\.pth is truncated or damaged"):
        read_checkpoint(path)


def test_a_record_given_twice_is_refused(save: Save):
    path = save({"a": torch.ones(3)})
    with zipfile.ZipFile(path) as archive:
        (name,) = [name for name in archive.namelist() if name.endswith("data/0")]
    with pytest.warns(UserWarning, match="Duplicate name"), zipfile.ZipFile(path, "a") as archive:
        archive.writestr(name, bytes(12))
    with pytest.raises(CheckpointError, match=r"the record '\S+/data/0' is there twice"):
        read_checkpoint(path)


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("dtype", [torch.complex64, torch.float8_e4m3fn, torch.uint16])
def test_numbers_that_no_weights_are_made_of_are_named(save: Save, legacy: bool, dtype: torch.dtype):
    path = save({"a": torch.ones(3).to(dtype)}, legacy=legacy)
    with pytest.raises(
        CheckpointError, match=r"weights\.pth: a tensor inside is of type '\S+Storage', which no weights of"
    ):
        read_checkpoint(path)
