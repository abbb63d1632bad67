from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detector.errors import PipelineError
from infer.contract.input_files import files_per_input, list_folder, natural_key
from infer.session import Tensor

FLOAT = np.dtype("float32")


def save(folder: Path, sizes: dict[str, int]) -> list[str]:
    for name, size in sizes.items():
        (folder / name).write_bytes(bytes(range(size)))
    return [str(folder / name) for name in sizes]


@given(st.lists(st.integers(0, 10**12), unique=True))
def test_numbers_in_names_count_as_numbers(numbers: list[int]):
    names = [f"d2/img{number}.bin" for number in numbers]
    assert sorted(names, key=natural_key) == [f"d2/img{number}.bin" for number in sorted(numbers)]


@given(st.lists(st.text(max_size=8), min_size=2))
def test_any_names_can_be_ordered(names: list[str]):
    sorted(names, key=natural_key)


def test_a_listing_keeps_the_spelling_of_its_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    save(tmp_path, {"b10.bin": 1, "b9.npy": 1, "note.txt": 1})
    monkeypatch.chdir(tmp_path)
    assert list_folder(".") == ["./b9.npy", "./b10.bin"]


def test_a_folder_without_bins_is_an_error(tmp_path: Path):
    with pytest.raises(PipelineError, match=r"find valid file.*make preprocess"):
        list_folder(str(tmp_path))


def test_unequal_folders_cannot_be_paired(tmp_path: Path):
    for name, count in (("a", 2), ("b", 3)):
        (tmp_path / name).mkdir()
        save(tmp_path / name, {f"{number}.bin": 4 for number in range(count)})
    tensors = [Tensor("x", (1,), FLOAT), Tensor("y", (1,), FLOAT)]
    with pytest.raises(PipelineError, match=r"b has 3 files, .*a has 2"):
        files_per_input([str(tmp_path / "a"), str(tmp_path / "b")], tensors)
