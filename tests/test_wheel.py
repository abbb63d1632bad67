"""The wheel: what it carries, and the console command as somebody has it who installed it, in a folder of their own."""

import os
import shutil
import signal
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import onnx
import pytest

from convert.__main__ import main as convert_main
from tests.test_layers import ROOT, STAGES

CARRIED = ("detector", *STAGES, "pipeline", "atc_configs")
OMITTED = {"__pycache__"}
BUILD = "import sys; from setuptools.build_meta import build_wheel; build_wheel(sys.argv[1])"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built without a network from a copy of everything, tests and demo too: building leaves files behind."""
    folder = tmp_path_factory.mktemp("wheel")
    tree = folder / "tree"
    for name in (*CARRIED, "demo", "benchmarks", "tests"):
        shutil.copytree(ROOT / name, tree / name, ignore=shutil.ignore_patterns("__pycache__", "data", "weights"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, tree)
    subprocess.run([sys.executable, "-c", BUILD, folder], cwd=tree, check=True, capture_output=True)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path) -> Path:
    """A target that holds nothing else."""
    target = wheel.with_name("target")
    options = ("--no-deps", "--no-index", "--no-compile", "--disable-pip-version-check", "--quiet")
    subprocess.run([sys.executable, "-m", "pip", "install", *options, "--target", target, wheel], check=True)
    return target


@pytest.fixture
def omline(installed: Path, tmp_path: Path):
    """Run the console command in an empty folder; packages that it needs are those of this environment."""
    before = os.environ.get("PYTHONPATH", "")

    def run(*words: str, path: Path | None = None) -> "subprocess.CompletedProcess[str]":
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, filter(None, (path, installed, before))))}
        line = [installed / "bin" / "omline", *words]
        return subprocess.run(line, cwd=tmp_path, env=environment, text=True, capture_output=True, preexec_fn=hears)

    return run


def hears() -> None:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def test_it_carries_the_stages_the_models_and_every_file_they_read(wheel: Path):
    carried = {Path(name) for name in zipfile.ZipFile(wheel).namelist()}
    carried = {path for path in carried if not path.parts[0].endswith(".dist-info")}
    files = {path.relative_to(ROOT) for name in CARRIED for path in (ROOT / name).rglob("*") if path.is_file()}
    assert carried == {path for path in files if not OMITTED.intersection(path.parts)}
    assert {path.suffix for path in carried} >= {".py", ".yaml", ".tsv", ".txt", ".sh"}


def test_the_console_command_works_from_any_folder(
    omline, tmp_path: Path, canonical: onnx.ModelProto, capsys: pytest.CaptureFixture[str]
):
    onnx.save(canonical, tmp_path / "tiny.onnx")
    for name in ("convert", "onnx"):  # of their own, which is not ours to import
        (tmp_path / f"{name}.py").write_text("raise SystemExit(77)")
    done = omline("lint", str(tmp_path / "tiny.onnx"))
    assert done.returncode == convert_main(["lint", str(tmp_path / "tiny.onnx")])
    assert done.stdout == capsys.readouterr().out
    assert len(done.stdout.splitlines()) > 2


def test_the_installed_models_are_found_by_name(omline, tmp_path: Path):
    done = omline("preprocess", "--model=demo", "--image_src_path=none", "--bin_file_path=bins")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"error: cannot read the image folder {tmp_path}/none: ")


def test_the_version_is_that_of_the_project(omline):
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert omline("--version").stdout.strip() == project["version"]
    assert f"## {project['version']} " in (ROOT / "CHANGELOG.md").read_text()


@pytest.mark.parametrize("became", [False, True])
def test_an_interrupt_is_no_traceback(omline, tmp_path: Path, became: bool):
    """Before the command is known, and when it has become its form."""
    (tmp_path / "early").mkdir()
    (tmp_path / "early/sitecustomize.py").write_text(f"""
import signal, sys
class Interrupts:
    def find_spec(self, name, *_):
        if name == "argparse" and sys.flags.safe_path == {became}:
            signal.raise_signal(signal.SIGINT)
sys.meta_path.insert(0, Interrupts())
""")
    done = omline("lint", "--help", path=tmp_path / "early")
    assert (done.returncode, done.stdout) == (130, "")
    assert done.stderr == "error: interrupted; nothing was in progress\n"
