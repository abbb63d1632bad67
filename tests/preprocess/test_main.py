"""The command line as a user runs it."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from preprocess.__main__ import main

ROOT = Path(__file__).resolve().parents[2]
TINY = ("--model_input_height", "32", "--model_input_width", "48")


def start(*arguments: str | Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "preprocess", *map(str, arguments)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def finish(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    out, err = process.communicate(timeout=60)
    return process.returncode, out, err


def options(images: Path, bins: Path) -> list[str]:
    return ["--image_src_path", str(images), "--bin_file_path", str(bins), *TINY]


def test_the_last_line_is_one_json_object(tmp_path: Path, images: Path, capsys: pytest.CaptureFixture[str]):
    bins = tmp_path / "bins"
    main([*options(images, bins), "--workers", "1"])
    result = json.loads(capsys.readouterr().out.splitlines()[-1])
    fingerprint = result.pop("fingerprint")
    assert result == {"images": 6, "bin_file_path": str(bins), "bytes": 6 * 3 * 32 * 48 * 4}
    assert len(fingerprint) == 16


def test_a_whole_run_says_nothing_on_stderr(tmp_path: Path, images: Path):
    code, out, err = finish(start(*options(images, tmp_path / "bins"), "--workers", "2"))
    assert (code, err) == (0, "")
    assert out.startswith("6 images -> ")


def test_the_guides_old_options_are_accepted(tmp_path: Path, images: Path):
    main([*options(images, tmp_path / "bins"), "--pad_size", "32", "--dtype", "float32", "--workers", "1"])
    assert (tmp_path / "bins" / "manifest.json").exists()


def test_info(tmp_path: Path, images: Path, capsys: pytest.CaptureFixture[str]):
    main(["info", "jpg", str(images), str(tmp_path / "out.info"), "--workers", "1"])
    assert json.loads(capsys.readouterr().out) == {"images": 6, "info": str(tmp_path / "out.info")}


def test_a_bad_image_is_one_line_and_exit_code_1(tmp_path: Path, images: Path):
    (images / "000000000002.jpg").write_text("hello")
    code, out, err = finish(start(*options(images, tmp_path / "bins"), "--workers", "2"))
    assert (code, out) == (1, "")
    assert err.startswith("error: ")
    assert "000000000002.jpg is not an image" in err
    assert err.count("\n") == 1


@pytest.mark.parametrize("arguments", [["--workers", "0"], ["--dtype", "int4"], ["--limit", "x"], ["--bin_file", "x"]])
def test_usage_errors_exit_with_2(tmp_path: Path, images: Path, arguments: list[str]):
    with pytest.raises(SystemExit) as exit_:
        main([*options(images, tmp_path / "bins"), *arguments])
    assert exit_.value.code == 2


@pytest.mark.parametrize("workers", ["1", "2"])
def test_an_interrupt_leaves_nothing_behind(tmp_path: Path, images: Path, workers: str):
    bins = tmp_path / "bins"
    for index in range(100, 400):
        (images / f"{index}.jpg").symlink_to(images / "000000000000.jpg")
    process = start("--image_src_path", images, "--bin_file_path", bins, "--workers", workers)
    deadline = time.monotonic() + 30
    while not list(bins.glob("*.bin")) and time.monotonic() < deadline:
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does
    code, _, err = finish(process)
    assert code == 130
    assert err.startswith("error: interrupted")
    assert err.count("\n") == 1
    assert not bins.exists()


def test_help_imports_nothing_heavy():
    report = (
        "import atexit, sys\n"
        "atexit.register(lambda: print(sorted({'cv2', 'numpy', 'pydantic'} & set(sys.modules))))\n"
        "from preprocess.__main__ import main\n"
        "main(['--help'])"
    )
    done = subprocess.run([sys.executable, "-c", report], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.endswith("[]\n")
