"""One process per product; the dead hold nothing."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from detector.errors import ArtifactError
from detector.files.lock import exclusive

HOLD = """
import sys
from pathlib import Path
from detector.files.lock import exclusive
with exclusive(Path(sys.argv[1]), doing="filling"):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def holder(tmp_path: Path):
    root = Path(__file__).resolve().parents[3]
    command = [sys.executable, "-c", HOLD, str(tmp_path / "bins")]
    with subprocess.Popen(command, cwd=root, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        yield process
        process.kill()


def test_the_second_process_is_told_who_holds_it(tmp_path: Path, holder: "subprocess.Popen[bytes]"):
    told = rf"bins is in use: process {holder.pid} on \S+ is filling it since "
    with pytest.raises(ArtifactError, match=told), exclusive(tmp_path / "bins", doing="filling"):
        pass
    with exclusive(tmp_path / "other", doing="filling"):
        pass


def test_a_killed_process_leaves_no_lock(tmp_path: Path, holder: "subprocess.Popen[bytes]"):
    os.kill(holder.pid, signal.SIGKILL)
    holder.wait()
    with exclusive(tmp_path / "bins", doing="filling"):
        pass
    assert not list(tmp_path.iterdir())


def test_the_lock_is_gone_after_an_error(tmp_path: Path):
    with pytest.raises(KeyError, match="filling"), exclusive(tmp_path / "bins", doing="filling"):
        raise KeyError((tmp_path / ".bins.lock").read_text())
    assert not list(tmp_path.iterdir())


def test_a_lock_that_is_a_link_is_not_followed(tmp_path: Path):
    (tmp_path / "precious").write_text("text")
    (tmp_path / ".bins.lock").symlink_to("precious")
    with pytest.raises(ArtifactError, match="cannot write"), exclusive(tmp_path / "bins", doing="filling"):
        pass
    assert (tmp_path / "precious").read_text() == "text"


def test_a_folder_made_for_a_lock_goes_if_nothing_comes_into_it(tmp_path: Path):
    with exclusive(tmp_path / "out" / "m.onnx", doing="exporting to"):
        assert (tmp_path / "out").is_dir()
    assert not (tmp_path / "out").exists()
    with exclusive(tmp_path / "out" / "m.onnx", doing="exporting to"):
        (tmp_path / "out" / "m.onnx").touch()
    assert (tmp_path / "out" / "m.onnx").exists()


def test_a_folder_that_stays_empty_is_not_left(tmp_path: Path):
    (tmp_path / "old").mkdir()
    for name, left in (("new", False), ("old", True)):
        with exclusive(tmp_path / name, doing="writing to"):
            (tmp_path / name).mkdir(exist_ok=True)
        assert (tmp_path / name).exists() == left
