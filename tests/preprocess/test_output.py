"""What may lie in the folder of bins, and whether the new bins fit."""

import json
import logging
import os
import shutil
from pathlib import Path

import pytest

from detector.errors import ArtifactError
from detector.geometry import Size
from detector.products.bins_manifest import BinImage, BinsManifest
from detector.products.manifest_files import write_manifest
from detector.spec import DetectorSpec
from preprocess.output import prepare_output, taken_back_on_failure


def listing(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture
def finished(tmp_path: Path, spec: DetectorSpec) -> Path:
    """A folder as an earlier run left it: a.bin, b.bin and the manifest."""
    folder = tmp_path / "bins"
    folder.mkdir()
    sizes = {"image": Size(1, 1), "resized": Size(1, 1), "top": 0, "left": 0}
    for stem in ("a", "b"):
        (folder / f"{stem}.bin").write_bytes(bytes(10))
    images = tuple(BinImage(stem=stem, file_name=f"{stem}.jpg", **sizes) for stem in ("a", "b"))
    write_manifest(folder, BinsManifest(spec=spec, image_source="", images=images))
    return folder


def test_a_manifest_that_climbs_removes_nothing(finished: Path):
    precious = finished.parent / "precious.bin"
    precious.write_bytes(b"mine")
    manifest = finished / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"stem": "a"', '"stem": "../precious"'))
    before = listing(finished)
    with pytest.raises(ArtifactError, match=r"what may be replaced .* is unknown.*'\.\./precious' is no stem of a bin"):
        prepare_output(finished, ["a.bin"], needed=10)
    assert precious.read_bytes() == b"mine"
    assert listing(finished) == before


@pytest.mark.parametrize("name", ["../precious.bin", "/precious.bin", "a.bin/../../precious.bin", "notes.txt"])
def test_a_record_of_a_killed_run_that_climbs_removes_nothing(tmp_path: Path, name: str):
    (tmp_path / ".unfinished.json").write_text(json.dumps({"format": "omline-unfinished-1", "names": [name]}))
    with pytest.raises(ArtifactError, match=r"\.unfinished\.json is not a manifest of this version"):
        prepare_output(tmp_path, ["a.bin"], needed=10)
    assert listing(tmp_path) == [".unfinished.json"]


@pytest.mark.parametrize("name", ["a.bin", "manifest.json", ".unfinished.json"])
@pytest.mark.parametrize("kind", ["link", "loop", "fifo"])
def test_what_is_no_file_goes_by_its_name_and_what_it_leads_to_stays(finished: Path, name: str, kind: str):
    (finished / "b.bin").unlink()
    (finished.parent / "precious").write_bytes(b"mine")
    (finished / name).unlink(missing_ok=True)
    if kind == "fifo":
        os.mkfifo(finished / name)
    else:
        (finished / name).symlink_to(name if kind == "loop" else "../precious")
    if (kind, name) == ("link", "manifest.json"):
        with pytest.raises(ArtifactError, match=r"manifest\.json is not a manifest of this version"):
            prepare_output(finished, ["a.bin"], needed=10)
        return
    prepare_output(finished, ["a.bin"], needed=10)
    assert listing(finished) == []
    assert (finished.parent / "precious").read_bytes() == b"mine"


@pytest.mark.parametrize("name", ["a.bin", "manifest.json", ".unfinished.json"])
def test_a_folder_in_the_place_of_a_file_is_left_alone(finished: Path, name: str):
    (finished / name).unlink(missing_ok=True)
    (finished / name).mkdir()
    with pytest.raises(ArtifactError, match=rf"/{name} is a folder where a file is to be written; remove it or give"):
        prepare_output(finished, ["a.bin", "b.bin"], needed=10)
    assert (finished / name).is_dir()


def test_the_folder_of_a_canvas_that_leads_elsewhere_is_left_alone(tmp_path: Path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "a.bin").touch()
    (tmp_path / "bins").mkdir()
    (tmp_path / "bins" / "32x48").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ArtifactError, match=r"32x48 is a link: bins are replaced only in"):
        prepare_output(tmp_path / "bins", ["32x48/a.bin"], needed=10)
    assert (tmp_path / "elsewhere" / "a.bin").exists()


def test_a_new_folder_is_made(tmp_path: Path):
    prepare_output(tmp_path / "new" / "bins", ["a.bin"], needed=10)
    assert listing(tmp_path / "new" / "bins") == []
    assert (tmp_path / "new" / "bins").stat().st_mode & 0o022 == 0


def test_an_earlier_run_is_replaced(finished: Path):
    (finished / "notes.txt").touch()
    prepare_output(finished, ["b.bin", "c.bin"], needed=10)
    assert listing(finished) == ["notes.txt"]


def test_leftovers_of_a_killed_run_are_replaced(tmp_path: Path):
    for name in ("a.bin", ".b.bin.x1y2.part"):
        (tmp_path / name).touch()
    prepare_output(tmp_path, ["a.bin", "b.bin"], needed=10)
    assert listing(tmp_path) == []


@pytest.mark.parametrize("name", ["x.bin", "x.BIN", "x.npy"])
def test_foreign_inputs_are_refused_and_nothing_is_touched(finished: Path, name: str):
    (finished / name).touch()
    before = listing(finished)
    with pytest.raises(ArtifactError, match=rf"holds {name}, which this run did not make"):
        prepare_output(finished, ["a.bin"], needed=10)
    assert listing(finished) == before


def test_a_foreign_manifest_is_refused(tmp_path: Path):
    (tmp_path / "manifest.json").write_text('{"name": "my web app"}')
    with pytest.raises(
        ArtifactError, match=r"manifest\.json is not a manifest of this version.*another --bin_file_path"
    ):
        prepare_output(tmp_path, ["a.bin"], needed=10)
    assert listing(tmp_path) == ["manifest.json"]


def test_a_file_in_the_way(tmp_path: Path):
    (tmp_path / "bins").touch()
    with pytest.raises(ArtifactError, match=r"cannot write .*bins: Not a directory"):
        prepare_output(tmp_path / "bins", ["a.bin"], needed=10)


def test_too_small_a_disk_is_told_before_anything_is_touched(finished: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(9000, 8000, 1000))
    before = listing(finished)
    with pytest.raises(ArtifactError, match=r"the bins need 1,500 bytes, the disk has 1,020 free; free some space"):
        prepare_output(finished, ["a.bin", "b.bin", "c.bin"], needed=1500)
    assert listing(finished) == before


def test_a_folder_that_ais_bench_would_refuse_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    tmp_path.chmod(0o775)
    with caplog.at_level(logging.WARNING):
        prepare_output(tmp_path, ["a.bin"], needed=10)
    assert "ais_bench refuses: chmod go-w" in caplog.text


def test_a_failed_block_leaves_neither_bins_nor_manifest(finished: Path):
    (finished / ".b.bin.x1y2.part").touch()
    (finished / "notes.txt").touch()
    with pytest.raises(KeyboardInterrupt), taken_back_on_failure(finished, ["a.bin", "b.bin", "c.bin"]):
        raise KeyboardInterrupt
    assert listing(finished) == ["notes.txt"]


def test_a_block_that_ends_well_keeps_them(finished: Path):
    with taken_back_on_failure(finished, ["a.bin"]):
        pass
    assert listing(finished) == ["a.bin", "b.bin", "manifest.json"]
