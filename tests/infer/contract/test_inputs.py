from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detector.errors import PipelineError
from infer.contract.inputs import (
    check_sizes,
    files_per_input,
    list_folder,
    load,
    load_shaped,
    natural_key,
    plan,
    pure_feeds,
    require_filled,
)
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


@given(count=st.integers(1, 40), slots=st.integers(1, 9))
def test_every_file_is_run_once_and_padding_is_no_sample(count: int, slots: int):
    files = [f"{number}" for number in range(count)]
    x = Tensor("x", (slots, 1), FLOAT)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("infer.contract.inputs.num_bytes", lambda _: 4)
        runs = plan([files], [x], combine=True)
    assert [file for run in runs for file in run.files[0][: run.samples]] == files
    assert all(len(run.files[0]) == slots for run in runs)
    assert all(set(run.files[0][run.samples :]) <= {run.files[0][0]} for run in runs)
    assert [run.first_sample for run in runs] == [index * slots for index in range(len(runs))]


def test_a_size_that_does_not_divide_is_an_error(tmp_path: Path):
    files = save(tmp_path, {"a.bin": 5})
    with pytest.raises(PipelineError, match=r"arg0 tensorsize: 8 filesize: 5 not match: .*a\.bin"):
        plan([files], [Tensor("x", (2, 1), FLOAT)], combine=True)


def test_a_later_file_of_another_size_is_found_before_the_run(tmp_path: Path):
    files = save(tmp_path, {"a.bin": 4, "b.bin": 4, "c.bin": 4, "d.bin": 3})
    tensors = [Tensor("x", (2, 1), FLOAT)]
    with pytest.raises(PipelineError, match=r"check i:0 name:x in size:7 needsize:8 not match: .*d\.bin has 3 bytes"):
        check_sizes(plan([files], tensors, combine=True), tensors)


def test_unequal_folders_cannot_be_paired(tmp_path: Path):
    for name, count in (("a", 2), ("b", 3)):
        (tmp_path / name).mkdir()
        save(tmp_path / name, {f"{number}.bin": 4 for number in range(count)})
    tensors = [Tensor("x", (1,), FLOAT), Tensor("y", (1,), FLOAT)]
    with pytest.raises(PipelineError, match=r"b has 3 files, .*a has 2"):
        files_per_input([str(tmp_path / "a"), str(tmp_path / "b")], tensors)


def test_a_batch_is_read_file_by_file(tmp_path: Path):
    files = save(tmp_path, {"a.bin": 4, "b.bin": 4, "c.bin": 4})
    tensors = [Tensor("x", (2, 4), np.dtype("uint8"))]
    runs = plan([files], tensors, combine=True)
    np.testing.assert_array_equal(load(runs[1], tensors)[0], [[0, 1, 2, 3], [0, 1, 2, 3]])


def test_bins_are_taken_as_bytes_whatever_they_were(tmp_path: Path):
    np.save(tmp_path / "a.npy", np.array([1.5, 2.5], np.float32))
    tensors = [Tensor("x", (1, 2), np.dtype("int32"))]
    runs = plan([[str(tmp_path / "a.npy")]], tensors, combine=True)
    np.testing.assert_array_equal(load(runs[0], tensors)[0].view(np.float32), [[1.5, 2.5]])


def test_automatic_shapes_need_the_element_type_of_the_input(tmp_path: Path):
    np.save(tmp_path / "a.npy", np.zeros((3, 2)))
    tensors = [Tensor("x", (-1, 2), FLOAT)]
    runs = plan([[str(tmp_path / "a.npy")]], tensors, combine=False)
    with pytest.raises(PipelineError, match=r"in size:48 needsize:24 not match: .*a\.npy holds float64"):
        load_shaped(runs[0], tensors)


@pytest.mark.parametrize("dtype", ["float32", "float16", "int64", "bool"])
def test_random_content_repeats_itself(dtype: str):
    tensors = [Tensor("x", (2, 3), np.dtype(dtype))]
    first, second = pure_feeds(tensors, "random")[0], pure_feeds(tensors, "random")[0]
    assert first.tobytes() == second.tobytes()
    assert first.tobytes() != pure_feeds(tensors, "zero")[0].tobytes()
    assert first.shape == (2, 3)


def test_the_padding_of_the_first_execution_is_bounded(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("OMLINE_MAX_PADDING_BYTES", "30")
    require_filled(1, 4, 40, model="a.onnx")
    require_filled(8, 8, 800, model="a.onnx")
    with pytest.raises(
        PipelineError,
        match=r"^a.onnx runs 8 images at once and there are 4: 40 bytes of padding per execution, at most 30 are "
        "taken; set OMLINE_MAX_PADDING_BYTES .*convert the model with a smaller --batch_size$",
    ):
        require_filled(4, 8, 80, model="a.onnx")
