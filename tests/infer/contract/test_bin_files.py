"""Input files: .npy headers, and bins that are not those that were preprocessed."""

import hashlib
import os
from pathlib import Path

import numpy as np
import pytest

from detector.errors import ArtifactError
from infer.contract.bin_files import num_bytes, read_into, read_npy, require_bins


def test_the_header_of_a_npy_does_not_count(tmp_path: Path):
    np.save(tmp_path / "a.npy", np.zeros((3, 2), np.float16))
    assert num_bytes(str(tmp_path / "a.npy")) == 12


def test_a_transposed_npy_is_refused(tmp_path: Path):
    np.save(tmp_path / "a.npy", np.zeros((3, 2)).T)
    with pytest.raises(ArtifactError, match="Fortran order"):
        num_bytes(str(tmp_path / "a.npy"))


@pytest.mark.parametrize("content", [b"", b"no numpy file", b"\x93NUMPY\x01\x00"])
def test_a_damaged_npy_is_an_error(tmp_path: Path, content: bytes):
    (tmp_path / "a.npy").write_bytes(content)
    with pytest.raises(ArtifactError, match=r"a\.npy is not a \.npy file of numbers"):
        num_bytes(str(tmp_path / "a.npy"))


def test_a_npy_of_objects_is_not_executed(tmp_path: Path):
    np.save(tmp_path / "a.npy", np.array([{}], object), allow_pickle=True)
    with pytest.raises(ArtifactError, match=r"a\.npy is not a \.npy file of numbers"):
        num_bytes(str(tmp_path / "a.npy"))


def test_a_npy_of_one_row_may_be_in_any_order(tmp_path: Path):
    np.save(tmp_path / "a.npy", np.asfortranarray(np.arange(3.0).reshape(1, 3, 1)))
    np.testing.assert_array_equal(read_npy(str(tmp_path / "a.npy")), np.arange(3.0).reshape(1, 3, 1))


@pytest.mark.parametrize(
    "header",
    [
        "{'descr': '<f4', 'fortran_order': False, 'shape': (-1, 2)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (True, 2)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999999, 2)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (3,)}",  # four bytes too many
        "{'descr': '<f4', 'fortran_order': False, 'shape': None}",
        "{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,)}",
        "{'descr': '|S4', 'fortran_order': False, 'shape': (1,)}",
        "{'descr': 'nonsense', 'fortran_order': False, 'shape': (1,)}",
        "{'descr': ('<f4',), 'fortran_order': False, 'shape': (1,)}",
        "{'descr': '<f4', 'fortran_order': 1, 'shape': (1,)}",
        "{'descr': '<f4', 'shape': (1,)}",
        "{" + "(" * 3000,
        "[" * 9000,
        "{'descr': '<f4', \x00",
        "'unterminated",
        "{{}: 1}",
        "1",
    ],
)
def test_no_header_of_a_npy_is_trusted(tmp_path: Path, header: str):
    text = header.encode().ljust(64) + b"\n"
    (tmp_path / "a.npy").write_bytes(b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + bytes(8))
    with pytest.raises(ArtifactError, match=r"a\.npy is not a (whole )?\.npy file"):
        num_bytes(str(tmp_path / "a.npy"))


def test_a_fifo_is_not_waited_for(tmp_path: Path):
    os.mkfifo(tmp_path / "a.npy")
    with pytest.raises(OSError, match="a FIFO, expected a regular file"):
        num_bytes(str(tmp_path / "a.npy"))


def test_a_bin_that_was_not_preprocessed_is_refused(tmp_path: Path):
    for name, content in (("a", b"aaaa"), ("b", b"bbbb"), ("c", b"cccc")):
        (tmp_path / f"{name}.bin").write_bytes(content)
    files = [str(tmp_path / f"{name}.bin") for name in "abc"]
    digests = {file: hashlib.sha256(Path(file).read_bytes()).hexdigest() for file in files[:2]}
    buffer = np.zeros(8, np.uint8)
    require_bins(files, digests)  # of the third nothing is known
    assert read_into(buffer, files[0], digests) == 4
    assert bytes(buffer) == b"aaaa" + bytes(4)
    (tmp_path / "a.bin").write_bytes(b"bbbb")
    told = r"a\.bin is not the bin that was preprocessed: .*; run `python -m preprocess` again \(make preprocess AGAIN"
    with pytest.raises(ArtifactError, match=told):
        read_into(buffer, files[0], digests)
    for entries in (files, [str(tmp_path)], [f"{tmp_path}/./a.bin"]):
        with pytest.raises(ArtifactError, match=told):
            require_bins(entries, digests)
    require_bins([files[1]], digests)
