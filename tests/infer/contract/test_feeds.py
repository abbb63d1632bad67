from pathlib import Path

import numpy as np
import pytest

from detector.errors import PipelineError
from infer.contract.executions import group_files
from infer.contract.feeds import load, load_shaped, pure_feeds
from infer.session import Tensor

FLOAT = np.dtype("float32")


def save(folder: Path, sizes: dict[str, int]) -> list[str]:
    for name, size in sizes.items():
        (folder / name).write_bytes(bytes(range(size)))
    return [str(folder / name) for name in sizes]


def test_a_batch_is_read_file_by_file(tmp_path: Path):
    files = save(tmp_path, {"a.bin": 4, "b.bin": 4, "c.bin": 4})
    tensors = [Tensor("x", (2, 4), np.dtype("uint8"))]
    runs = group_files([files], tensors, combine=True)
    np.testing.assert_array_equal(load(runs[1], tensors)[0], [[0, 1, 2, 3], [0, 1, 2, 3]])


def test_bins_are_taken_as_bytes_whatever_they_were(tmp_path: Path):
    np.save(tmp_path / "a.npy", np.array([1.5, 2.5], np.float32))
    tensors = [Tensor("x", (1, 2), np.dtype("int32"))]
    runs = group_files([[str(tmp_path / "a.npy")]], tensors, combine=True)
    np.testing.assert_array_equal(load(runs[0], tensors)[0].view(np.float32), [[1.5, 2.5]])


def test_automatic_shapes_need_the_element_type_of_the_input(tmp_path: Path):
    np.save(tmp_path / "a.npy", np.zeros((3, 2)))
    tensors = [Tensor("x", (-1, 2), FLOAT)]
    runs = group_files([[str(tmp_path / "a.npy")]], tensors, combine=False)
    with pytest.raises(PipelineError, match=r"in size:48 needsize:24 not match: .*a\.npy holds float64"):
        load_shaped(runs[0], tensors)


@pytest.mark.parametrize("dtype", ["float32", "float16", "int64", "bool"])
def test_random_content_repeats_itself(dtype: str):
    tensors = [Tensor("x", (2, 3), np.dtype(dtype))]
    first, second = pure_feeds(tensors, "random")[0], pure_feeds(tensors, "random")[0]
    assert first.tobytes() == second.tobytes()
    assert first.tobytes() != pure_feeds(tensors, "zero")[0].tobytes()
    assert first.shape == (2, 3)
