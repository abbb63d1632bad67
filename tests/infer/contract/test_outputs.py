import io
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from detector.errors import ArtifactError, PipelineError
from detector.files.digest import sha256_of
from detector.files.lock import exclusive
from infer.contract.inputs import Run
from infer.contract.outputs import check_stems, encode, own_name, require_apart, reserved, save, split

TWO = Run((("in/a.bin", "in/b.bin"),), samples=2, first_sample=0)
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
    run = Run((("in/a.bin", "in/b.bin", "in/a.bin", "in/a.bin"),), samples=2, first_sample=8)
    digests: dict[str, str] = {}
    written = save([np.arange(4)], run, str(tmp_path), outfmt="BIN", axis=0, digests=digests)
    assert digests == {name: sha256_of(tmp_path / name) for name in ("a_0.bin", "b_0.bin")}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a_0.bin", "b_0.bin"]
    assert list(written) == ["8", "9"]
    assert written["9"] == {"infiles": ["in/b.bin"], "outfiles": [f"{tmp_path}/b_0.bin"]}
    assert np.fromfile(tmp_path / "b_0.bin", np.int64).tolist() == [1]


def test_names_that_would_overwrite_each_other_are_refused():
    with pytest.raises(ArtifactError, match=r"in/a\.x\.bin and in/a\.y\.bin would both be written to a_0"):
        check_stems([Run((("in/a.x.bin", "in/a.y.bin"),), samples=2, first_sample=0)])


def test_the_same_file_twice_is_allowed():
    check_stems([Run((("in/a.bin", "in/a.bin"),), samples=2, first_sample=0)])


def test_a_stale_summary_goes_and_other_results_stay(tmp_path: Path):
    prefix = tmp_path / "res"
    prefix.mkdir()
    (prefix / "old_0.bin").touch()
    (tmp_path / "res_summary.json").touch()
    (tmp_path / ".res_summary.json.abcdefgh.part").touch()
    (tmp_path / ".other_summary.json.abcdefgh.part").touch()
    (prefix / ".old_0.bin.abcdefgh.part").touch()
    with reserved(str(prefix)):
        pass
    (tmp_path / ".other_summary.json.abcdefgh.part").unlink()  # of a run that may be alive
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["old_0.bin", "res"]


def test_a_file_in_the_way_is_an_error(tmp_path: Path):
    (tmp_path / "res").touch()
    with pytest.raises(
        ArtifactError, match=r"cannot create .*res: .*res is no folder; remove it, or give another --output"
    ):
        reserved(str(tmp_path / "res" / "a")).__enter__()


@pytest.fixture
def bins(tmp_path: Path) -> Path:
    folder = tmp_path / "bins"
    folder.mkdir()
    (folder / "a.bin").touch()
    (tmp_path / "link").symlink_to(folder)
    (tmp_path / "other").mkdir()
    return folder


@pytest.mark.parametrize("prefix", ["bins", "bins/.", "other/../bins", "link", "bins/new/..", "link/new/.."])
@pytest.mark.parametrize("entry", ["bins", "link", "bins/a.bin"])
def test_results_among_the_bins_are_refused_however_they_are_spelt(tmp_path: Path, bins: Path, prefix: str, entry: str):
    with pytest.raises(ArtifactError, match=r"its results would lie among the bins .* give another --output or"):
        require_apart(f"{tmp_path}/{prefix}", [f"{tmp_path}/{entry}"])
    assert [path.name for path in bins.iterdir()] == ["a.bin"]


@pytest.mark.parametrize("record", ["manifest.json", ".unfinished.json"])
def test_other_bins_are_no_place_for_results_either(tmp_path: Path, bins: Path, record: str):
    (tmp_path / "other" / record).touch()
    with pytest.raises(ArtifactError, match=r"other holds bins"):
        require_apart(f"{tmp_path}/other", [str(bins)])


@pytest.mark.parametrize("prefix", ["bins/result", "other", "new", "."])
def test_a_folder_below_or_beside_the_bins_will_do(tmp_path: Path, bins: Path, prefix: str):
    require_apart(f"{tmp_path}/{prefix}", [str(bins)])


def test_two_runs_cannot_write_to_one_folder(tmp_path: Path):
    told = rf"res is in use: process {os.getpid()} on \S+ is inferring into it since"
    with reserved(str(tmp_path / "res")), pytest.raises(ArtifactError, match=told):
        reserved(str(tmp_path / "res")).__enter__()
    assert not list(tmp_path.rglob("*"))


def test_a_fresh_folder_has_no_results_of_earlier_runs_and_what_is_no_result_stays(tmp_path: Path):
    folder = tmp_path / "r"
    results = ["old_0.bin", "a-1_12.npy", "b_1.txt", "800x1344/c_0.bin", "800x1344_summary.json", "32x64/d_0.bin"]
    kept = ["old.bin", "notes.txt", "bin_0.bin.bak", "mine/e_0.bin", "32x64/notes.txt"]
    for name in (*results, *kept):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    with reserved(str(folder)):  # as ais_bench: they lie on
        assert (folder / "old_0.bin").exists()
    with reserved(str(folder), fresh=True):
        left = sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
    assert left == sorted(kept)
    assert not (folder / "800x1344").exists()


def test_results_are_removed_under_the_lock_only(tmp_path: Path):
    (tmp_path / "r").mkdir()
    (tmp_path / "r" / "theirs_0.bin").touch()
    with (
        exclusive(tmp_path / "r", doing="inferring into"),
        pytest.raises(ArtifactError, match="is in use"),
        reserved(str(tmp_path / "r"), fresh=True),
    ):
        pass
    assert (tmp_path / "r" / "theirs_0.bin").exists()


def test_two_runs_without_a_name_share_no_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    seconds = iter(["2024_01_01-00_00_00", "2024_01_01-00_00_00", "2024_01_01-00_00_01"])
    monkeypatch.setattr("infer.contract.outputs.time.strftime", lambda _: next(seconds))
    with own_name(str(tmp_path / "out")) as first, own_name(str(tmp_path / "out")) as second:
        assert (first, second) == ("2024_01_01-00_00_00", "2024_01_01-00_00_01")
        assert (tmp_path / "out" / first).stat().st_mode & 0o777 == 0o750
        (tmp_path / "out" / first / "a_0.bin").touch()
    assert [path.name for path in (tmp_path / "out").iterdir()] == [first]  # an empty one goes
