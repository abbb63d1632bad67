"""Only regular files are opened, and no more of them than is meant."""

import os
import socket
from pathlib import Path

import pytest

from detector.cli import one_line
from detector.errors import PipelineError
from detector.files.bounds import Bound
from detector.files.regular import open_regular, read_bytes

BOUND = Bound("OMLINE_TEST_BYTES", 10, "bytes")


def test_a_file_and_a_link_to_it_are_read(tmp_path: Path):
    (tmp_path / "a").write_bytes(b"0123456789")
    (tmp_path / "b").symlink_to("a")
    assert read_bytes(tmp_path / "b", BOUND) == b"0123456789"


def test_a_fifo_is_refused_without_waiting(tmp_path: Path):
    os.mkfifo(tmp_path / "f")
    with pytest.raises(OSError, match="a FIFO") as caught:
        open_regular(tmp_path / "f")
    assert (
        one_line(caught.value)
        == f"{tmp_path}/f: a FIFO, expected a regular file; save what it gives as one, and name that"
    )


@pytest.mark.parametrize("name", ["/dev/zero", "link"])
def test_a_device_is_refused(tmp_path: Path, name: str):
    (tmp_path / "link").symlink_to("/dev/zero")
    with pytest.raises(OSError, match="a device, expected a regular file"):
        open_regular(tmp_path / name)


def test_a_socket_cannot_be_opened(tmp_path: Path):
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(tmp_path / "s"))
        with pytest.raises(OSError, match="No such device or address"):
            open_regular(tmp_path / "s")


def test_a_folder_is_no_file(tmp_path: Path):
    with pytest.raises(IsADirectoryError) as caught:
        open_regular(tmp_path)
    assert one_line(caught.value) == f"{tmp_path}: a folder, expected a file"


def test_a_loop_of_links_ends(tmp_path: Path):
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    with pytest.raises(OSError, match="symbolic links") as caught:
        open_regular(tmp_path / "a")
    assert one_line(caught.value) == f"{tmp_path}/a: Too many levels of symbolic links"


def test_more_than_the_bound_is_refused_with_the_variable_that_raises_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "a").write_bytes(bytes(1234))
    with pytest.raises(OSError, match="1,234") as caught:
        read_bytes(tmp_path / "a", BOUND)
    expected = "1,234 bytes, at most 10 are taken; set OMLINE_TEST_BYTES if more is meant"
    assert one_line(caught.value) == f"{tmp_path}/a: {expected}"
    monkeypatch.setenv("OMLINE_TEST_BYTES", "1234")
    assert len(read_bytes(tmp_path / "a", BOUND)) == 1234


@pytest.mark.parametrize("text", ["", "0", "-1", "1e9", "many", "9" * 19, "²"])
def test_a_bound_that_is_no_number_is_named(monkeypatch: pytest.MonkeyPatch, text: str):
    monkeypatch.setenv("OMLINE_TEST_BYTES", text)
    with pytest.raises(PipelineError, match=r"OMLINE_TEST_BYTES is .*, expected a number of bytes"):
        BOUND.require(1, "file")
