from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detector.errors import PipelineError
from infer.contract.executions import check_sizes, group_files, require_filled
from infer.session import Tensor

FLOAT = np.dtype("float32")


def save(folder: Path, sizes: dict[str, int]) -> list[str]:
    for name, size in sizes.items():
        (folder / name).write_bytes(bytes(range(size)))
    return [str(folder / name) for name in sizes]


@given(count=st.integers(1, 40), slots=st.integers(1, 9))
def test_every_file_is_run_once_and_padding_is_no_sample(count: int, slots: int):
    files = [f"{number}" for number in range(count)]
    x = Tensor("x", (slots, 1), FLOAT)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("infer.contract.executions.num_bytes", lambda _: 4)
        runs = group_files([files], [x], combine=True)
    assert [file for run in runs for file in run.files[0][: run.samples]] == files
    assert all(len(run.files[0]) == slots for run in runs)
    assert all(set(run.files[0][run.samples :]) <= {run.files[0][0]} for run in runs)
    assert [run.first_sample for run in runs] == [index * slots for index in range(len(runs))]


def test_a_size_that_does_not_divide_is_an_error(tmp_path: Path):
    files = save(tmp_path, {"a.bin": 5})
    with pytest.raises(PipelineError, match=r"arg0 tensorsize: 8 filesize: 5 not match: .*a\.bin"):
        group_files([files], [Tensor("x", (2, 1), FLOAT)], combine=True)


def test_a_later_file_of_another_size_is_found_before_the_run(tmp_path: Path):
    files = save(tmp_path, {"a.bin": 4, "b.bin": 4, "c.bin": 4, "d.bin": 3})
    tensors = [Tensor("x", (2, 1), FLOAT)]
    with pytest.raises(PipelineError, match=r"check i:0 name:x in size:7 needsize:8 not match: .*d\.bin has 3 bytes"):
        check_sizes(group_files([files], tensors, combine=True), tensors)


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
