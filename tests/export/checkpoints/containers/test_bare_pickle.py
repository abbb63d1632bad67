import pickle
from pathlib import Path

import numpy as np
import pytest
import torch

from detector.errors import CheckpointError
from export.checkpoints.reader import read_checkpoint
from export.checkpoints.unsupported import family

DTYPES = ("f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "b1")
PROTOCOLS = (2, 3, 4, 5)


def arrays() -> dict[str, np.ndarray]:
    generator = np.random.default_rng(0)
    matrix = generator.normal(size=(3, 4)).astype(np.float32)
    return {
        "plain": matrix,
        "fortran": np.asfortranarray(generator.normal(size=(2, 3, 4))),
        "strided": matrix[:, ::2],
        "transposed": generator.normal(size=(4, 5)).T,
        "scalar": np.array(2.5, np.float32),
        "empty": np.empty((0, 3), np.float32),
        "large": generator.normal(size=(64, 300)).astype(np.float32),
        "read-only": np.frombuffer(b"\x01\x02\x03", np.uint8),
        **{dtype: np.array([0, 1, 1], dtype) for dtype in DTYPES},
    }


def write(path: Path, root: object, protocol: int = 4) -> Path:
    path.write_bytes(pickle.dumps(root, protocol=protocol))
    return path


def assert_same(found: dict[str, torch.Tensor], expected: dict[str, np.ndarray]) -> None:
    assert found.keys() == expected.keys()
    for name, array in expected.items():
        torch.testing.assert_close(found[name], torch.from_numpy(array.copy()), rtol=0, atol=0)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_detectron2_file_of_any_protocol_is_read(tmp_path: Path, protocol: int):
    root = {"model": arrays(), "__author__": "Detectron2 Model Zoo", "matching_heuristics": True}
    file = read_checkpoint(write(tmp_path / "model_final.pkl", root, protocol))
    assert file.container == "pickle"
    assert file.meta == {"__author__": "Detectron2 Model Zoo", "matching_heuristics": True}
    assert_same(file.tensors, root["model"])  # type: ignore[arg-type]


@pytest.mark.parametrize("protocol", [2, 3])
def test_the_names_of_numpy_1_are_read(tmp_path: Path, protocol: int):
    path = write(tmp_path / "model.pkl", {"model": arrays()}, protocol)
    old = path.read_bytes().replace(b"cnumpy._core.multiarray\n", b"cnumpy.core.multiarray\n")
    assert b"numpy._core" not in old
    path.write_bytes(old)
    assert_same(read_checkpoint(path).tensors, arrays())


def test_a_pickle_of_python_2_is_read(tmp_path: Path):
    # {'model': {'a': array([1., 2.], dtype=float32)}} as cPickle of Python 2 writes it: texts and bytes are BINSTRINGs.
    data = (
        b"\x80\x02}q\x01U\x05modelq\x02}q\x03U\x01aq\x04cnumpy.core.multiarray\n_reconstruct\nq\x05cnumpy\nndarray\nq\x06"
        b"K\x00\x85U\x01b\x87Rq\x07(K\x01K\x02\x85cnumpy\ndtype\nq\x08U\x02f4K\x00K\x01\x87Rq\x09(K\x03U\x01<NNNJ"
        b"\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89U\x08\x00\x00\x80?\x00\x00\x00@tbss."
    )
    path = tmp_path / "old.pkl"
    path.write_bytes(data)
    assert read_checkpoint(path).tensors["a"].tolist() == [1, 2]


def test_an_array_under_two_names_is_one_array(tmp_path: Path):
    shared = np.arange(5.0)
    path = write(tmp_path / "model.pkl", {"model": {"a": shared, "b": shared}})
    assert_same(read_checkpoint(path).tensors, {"a": shared, "b": shared})


def test_a_bare_state_dict_is_read(tmp_path: Path):
    path = write(tmp_path / "model.pkl", {"module.a": np.ones(2), "module.b": np.zeros(2)})
    assert_same(read_checkpoint(path).tensors, {"a": np.ones(2), "b": np.zeros(2)})


def test_arrays_of_other_things_than_numbers_are_no_weights(tmp_path: Path):
    root = {"a": np.ones(2), "names": np.array(["x", "y"]), "objects": np.array([None, {}], object), "n": np.float32(3)}
    assert list(read_checkpoint(write(tmp_path / "model.pkl", root)).tensors) == ["a"]


def test_changing_a_tensor_does_not_reach_the_file(tmp_path: Path):
    path = write(tmp_path / "model.pkl", {"a": np.ones(1000)})
    before = path.read_bytes()
    read_checkpoint(path).tensors["a"].zero_()
    assert path.read_bytes() == before


def test_big_endian_arrays_are_refused(tmp_path: Path):
    with pytest.raises(CheckpointError, match="big-endian array"):
        read_checkpoint(write(tmp_path / "model.pkl", {"a": np.ones(2, ">f4")}))


def test_bytes_after_the_pickle_are_damage(tmp_path: Path):
    path = write(tmp_path / "model.pkl", {"a": np.ones(2)})
    path.write_bytes(path.read_bytes() + b"more")
    with pytest.raises(CheckpointError, match="4 bytes after the end of the pickle"):
        read_checkpoint(path)


def test_a_shape_that_does_not_fit_the_bytes_is_damage(tmp_path: Path):
    path = write(tmp_path / "model.pkl", {"a": np.ones(77, np.uint8)}, 2)
    path.write_bytes(path.read_bytes().replace(b"KM\x85", b"KN\x85"))
    with pytest.raises(CheckpointError, match=r"array of shape \[78\] with 77 bytes"):
        read_checkpoint(path)


@pytest.mark.parametrize("nest", ["blobs", "model"])
def test_a_caffe2_backbone_is_named(tmp_path: Path, nest: str):
    weights = {"conv1_w": np.ones(1), "res2_0_branch2a_w": np.ones(1), "res2_0_branch2a_bn_s": np.ones(1)}
    file = read_checkpoint(write(tmp_path / "R-50.pkl", {nest: weights, "matching_heuristics": True}))
    assert "Caffe2 backbone" in family(file.tensors)
