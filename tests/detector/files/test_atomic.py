"""Atomic writes."""

import errno
import os
import resource
from pathlib import Path

import pytest

from detector.errors import ArtifactError
from detector.files.atomic import (
    atomic_file,
    make_folder,
    remove_unfinished,
    to_disk,
    write_bytes,
    write_json,
    write_set,
    write_text,
)
from detector.files.digest import sha256_of


def listing(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_takes_its_name_only_at_the_end(tmp_path: Path):
    with atomic_file(tmp_path / "a") as file:
        file.write(b"x")
        file.flush()
        assert "a" not in listing(tmp_path)
    assert listing(tmp_path) == ["a"]


def test_a_failed_block_leaves_the_old_file(tmp_path: Path):
    write_text(tmp_path / "a", "old")

    def half(path: Path) -> None:
        with atomic_file(path) as file:
            file.write(b"half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        half(tmp_path / "a")
    assert listing(tmp_path) == ["a"]
    assert (tmp_path / "a").read_text() == "old"


def test_files_can_be_read_by_all_and_written_by_the_owner(tmp_path: Path):
    write_bytes(tmp_path / "a", b"x")
    write_bytes(tmp_path / "b", b"x", mode=0o640)
    assert [(tmp_path / name).stat().st_mode & 0o777 for name in "ab"] == [0o644, 0o640]


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_told_with_the_next_step(tmp_path: Path, code: int):
    with (
        pytest.raises(ArtifactError, match=r"cannot write .*/a: .*; free some space and run the command again"),
        atomic_file(tmp_path / "a"),
    ):
        raise OSError(code, os.strerror(code))
    assert listing(tmp_path) == []


def test_no_folder_to_write_to(tmp_path: Path):
    with pytest.raises(ArtifactError, match=r"cannot write .*/none/a: No such file or directory; give another path$"):
        write_text(tmp_path / "none" / "a", "x")


def test_a_long_name_can_be_written(tmp_path: Path):
    write_text(tmp_path / ("n" * 255), "x")
    assert listing(tmp_path) == ["n" * 255]


def test_json_is_written_as_utf8(tmp_path: Path):
    write_json(tmp_path / "a", {"name": "图"}, indent=None)
    assert (tmp_path / "a").read_bytes() == '{"name": "图"}\n'.encode()


def test_a_folder_with_its_parents(tmp_path: Path):
    make_folder(tmp_path / "a" / "b", mode=0o750)
    make_folder(tmp_path / "a" / "b")
    assert (tmp_path / "a" / "b").stat().st_mode & 0o777 == 0o750


def test_a_file_in_the_way_of_a_folder(tmp_path: Path):
    (tmp_path / "a").touch()
    with pytest.raises(ArtifactError, match=r"cannot write .*/a: File exists"):
        make_folder(tmp_path / "a")


def test_sha256_of_a_file(tmp_path: Path):
    write_bytes(tmp_path / "a", b"abc")
    assert sha256_of(tmp_path / "a").startswith("ba7816bf8f01cfea")


def test_only_what_a_killed_process_left_of_a_file_goes(tmp_path: Path):
    theirs = [".b.abcdefgh.part", ".a.abcdefg.part", "a.abcdefgh.part", ".a.abcdefgh.part.txt", ".a.b.abcdefgh.part"]
    for name in (*theirs, ".a.abcdefgh.part", ".a.0_9az___.part", "a"):
        (tmp_path / name).touch()
    remove_unfinished(tmp_path / "a")
    assert listing(tmp_path) == sorted([*theirs, "a"])


def test_what_a_killed_process_left_in_a_folder_goes(tmp_path: Path):
    folder = tmp_path / "bins"
    folder.mkdir()
    for name in (".x.bin.abcdefgh.part", "x.bin", ".hidden", "notes.part"):
        (folder / name).touch()
    remove_unfinished(folder)
    assert listing(folder) == [".hidden", "notes.part", "x.bin"]


@pytest.mark.parametrize("name", ["n" * 240, "图" * 80, "😀" * 60])
def test_what_was_left_of_a_long_name_goes_too(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(Path, "unlink", lambda *_, **__: None)  # as if killed
    with pytest.raises(KeyError), atomic_file(tmp_path / name):
        raise KeyError
    monkeypatch.undo()
    assert len(listing(tmp_path)) == 1
    remove_unfinished(tmp_path / name)
    assert listing(tmp_path) == []


def test_files_reach_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    synced: list[int] = []
    monkeypatch.setattr(os, "fsync", synced.append)
    write_text(tmp_path / "a", "x")
    assert len(synced) == 2  # the file, and its name in the folder
    write_bytes(tmp_path / "b", b"x", lasting=False)
    assert len(synced) == 2
    to_disk(tmp_path)


def test_a_name_that_is_not_utf8_cannot_be_recorded(tmp_path: Path):
    with pytest.raises(ArtifactError, match=r"cannot write .*r\.json: a name .* is not UTF-8 .*b\\udcff.* rename"):
        write_json(tmp_path / "r.json", {"file": "a/b\udcff.jpg"})
    assert not [*tmp_path.iterdir()]


def test_an_open_stream_is_not_replaced_by_a_file(tmp_path: Path):
    for target in ("/proc/self/fd/1", "/dev/null"):
        link = tmp_path / "out"
        link.symlink_to(target)
        with pytest.raises(ArtifactError, match=r"out: a device or an open stream; .*; give another path"):
            write_text(link, "x")
        assert link.is_symlink()
        link.unlink()
    (tmp_path / "file").write_text("old")
    link.symlink_to(tmp_path / "file")
    write_text(link, "new")
    assert link.read_text() == "new"


def test_files_that_belong_together_are_written_all_or_none(tmp_path: Path):
    of, by, stale = (tmp_path / name for name in ("of.json", "by.json", "stale.json"))
    for path in (of, by, stale):
        path.write_text("old")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        for long, texts in (("of", {of: "x" * 2000, by: "y"}), ("by", {of: "x", by: "y" * 2000})):
            with pytest.raises(ArtifactError, match=rf"{long}.json: File too large; raise `ulimit -f`"):
                write_set(texts, stale=[stale])
            assert {path: path.read_text() for path in tmp_path.iterdir()} == {of: "old", by: "old", stale: "old"}
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    write_set({of: "x", by: "y"}, stale=[stale])
    assert {path: path.read_text() for path in tmp_path.iterdir()} == {of: "x", by: "y"}
