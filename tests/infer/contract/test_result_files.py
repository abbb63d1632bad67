import io
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from detector.errors import ArtifactError, PipelineError
from detector.files.digest import sha256_of
from infer.contract.executions import Execution
from infer.contract.result_files import check_stems, encode, save, split

TWO = Execution((("in/a.bin", "in/b.bin"),), samples=2, first_sample=0)
SHAPES = hnp.array_shapes(min_dims=1, max_dims=3, max_side=4)


def test_the_split_axis_is_kept():
    parts = split(np.zeros((2, 100, 5)), TWO, index=0, axis=0)
    assert [part.shape for part in parts] == [(1, 100, 5)] * 2


def test_an_output_without_samples_is_refused():
    with pytest.raises(
        PipelineError, match=r"error i:1 ndata\.shape:\(\) len:0 <= output_batchsize_axis:0  is invalid"
    ):
        split(np.zeros(()), TWO, index=1, axis=0)


def test_an_output_that_does_not_divide_is_refused():
    with pytest.raises(PipelineError, match=r"array shape:\(3, 5\) .*output 0 does not divide into 2 samples"):
        split(np.zeros((3, 5)), TWO, index=0, axis=0)


@given(hnp.arrays(hnp.floating_dtypes(sizes=(16, 32), endianness="<"), SHAPES))
def test_bin_is_the_plain_memory(array: np.ndarray):
    assert np.frombuffer(encode(array, "BIN"), array.dtype).tobytes() == array.tobytes()


@given(hnp.arrays(st.sampled_from([np.float32, np.float16, np.int64, np.bool_]), SHAPES))
def test_npy_keeps_type_and_shape(array: np.ndarray):
    back = np.load(io.BytesIO(encode(array, "NPY")))
    assert back.dtype == array.dtype
    np.testing.assert_array_equal(back, array)


def test_text_has_one_line_per_row_and_a_blank_after_each_value():
    assert (
        encode(np.array([[[1.5, -2], [0.1, 1e6]]], np.float32), "TXT")
        == b"1.500000 -2.000000 \n0.100000 1000000.000000 \n"
    )
    assert encode(np.array([[-1, 7]]), "TXT") == b"-1 7 \n"
    assert encode(np.array([True, False]), "TXT") == b"1 0 \n"


def test_text_of_an_output_without_values_is_empty():
    assert encode(np.zeros((0, 5)), "TXT") == b""


def test_results_of_padding_are_not_saved(tmp_path: Path):
    run = Execution((("in/a.bin", "in/b.bin", "in/a.bin", "in/a.bin"),), samples=2, first_sample=8)
    digests: dict[str, str] = {}
    written = save([np.arange(4)], run, str(tmp_path), outfmt="BIN", axis=0, digests=digests)
    assert digests == {name: sha256_of(tmp_path / name) for name in ("a_0.bin", "b_0.bin")}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a_0.bin", "b_0.bin"]
    assert list(written) == ["8", "9"]
    assert written["9"] == {"infiles": ["in/b.bin"], "outfiles": [f"{tmp_path}/b_0.bin"]}
    assert np.fromfile(tmp_path / "b_0.bin", np.int64).tolist() == [1]


def test_names_that_would_overwrite_each_other_are_refused():
    with pytest.raises(ArtifactError, match=r"in/a\.x\.bin and in/a\.y\.bin would both be written to a_0"):
        check_stems([Execution((("in/a.x.bin", "in/a.y.bin"),), samples=2, first_sample=0)])


def test_the_same_file_twice_is_allowed():
    check_stems([Execution((("in/a.bin", "in/a.bin"),), samples=2, first_sample=0)])
