import os
from pathlib import Path

import pytest

from detector.errors import ArtifactError
from detector.files.lock import exclusive
from infer.contract.result_folder import own_name, require_apart, reserved


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
    monkeypatch.setattr("infer.contract.result_folder.time.strftime", lambda _: next(seconds))
    with own_name(str(tmp_path / "out")) as first, own_name(str(tmp_path / "out")) as second:
        assert (first, second) == ("2024_01_01-00_00_00", "2024_01_01-00_00_01")
        assert (tmp_path / "out" / first).stat().st_mode & 0o777 == 0o750
        (tmp_path / "out" / first / "a_0.bin").touch()
    assert [path.name for path in (tmp_path / "out").iterdir()] == [first]  # an empty one goes
