"""`make doctor`: what it looks at everywhere, how it tells it; the NPU half is in test_card_checks.py."""

import json
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from infer.doctor import examine as doctor
from infer.doctor.card_checks import Check
from infer.doctor.examine import Report, examine

ROOT = Path(__file__).resolve().parents[3]


def look(purpose: str = "npu", **given: str) -> Report:
    return examine(purpose, **{"output": "results", **given})  # type: ignore[arg-type]


def find(report: Report, name: str) -> Check:
    return next(check for check in report.checks if check.name == name)


def test_a_machine_without_a_trace_of_a_card_is_a_laptop(bare: Path):
    report = look("auto")
    assert report.purpose == "laptop"
    assert report.is_fit
    assert {"cpu", "export"} <= {check.name for check in report.checks}
    assert "driver" not in {check.name for check in report.checks}


def test_a_missing_package_has_its_command(bare: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(doctor, "CPU", {"no-such-runtime": "1"})
    monkeypatch.setattr(doctor, "BASE", {"numpy": "999"})
    report = look("laptop")
    assert find(report, "cpu") == Check(
        "cpu", "missing", "without no-such-runtime", "run pip install '.[cpu]' in the project's folder"
    )
    assert find(report, "packages").found == "without numpy>=999"
    assert find(report, "packages").fix == "run pip install '.' in the project's folder"


def test_a_full_disk_is_named(bare: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(doctor, "SPACE_MIN", 2**60)
    check = find(look("laptop"), "disk")
    assert check.state == "missing"
    assert "bins of 3x800x1344 float32" in check.found


def test_a_blank_in_the_working_directory_is_named(npu: Path, monkeypatch: pytest.MonkeyPatch):
    (npu / "my work").mkdir()
    monkeypatch.chdir(npu / "my work")
    check = find(look(), "folder")
    assert check.state == "missing"
    assert "my work has ' ' in it" in (check.fix or "")


def test_the_versions_are_those_of_the_project():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = {**doctor.BASE, **doctor.CPU, **doctor.EXPORT}
    asked = [
        *project["dependencies"],
        *project["optional-dependencies"]["cpu"],
        *project["optional-dependencies"]["export"],
    ]
    assert {text.replace("==", ">=") for text in asked} == {f"{name}>={lowest}" for name, lowest in wanted.items()}
    assert project["requires-python"] == ">=" + ".".join(map(str, doctor.PYTHON_MIN))


def run(*arguments: str, path: Path) -> subprocess.CompletedProcess[str]:
    # No site-packages: the doctor must work where nothing is installed.
    command = [sys.executable, "-S", "-m", "infer", "doctor", *arguments]
    environment = {"PATH": f"{path}:/usr/bin:/bin", "PYTHONPATH": str(ROOT), "HOME": str(path)}
    return subprocess.run(command, env=environment, cwd=path, capture_output=True, text=True, check=False)


def test_it_runs_where_nothing_is_installed(tmp_path: Path):
    finished = run("--for", "laptop", path=tmp_path)
    assert finished.returncode == 5, finished.stderr
    assert "missing packages    without faster-coco-eval, numpy, onnx" in finished.stdout
    assert json.loads(finished.stdout.splitlines()[-1])["fit"] is False
    assert finished.stderr == ""


def test_json_is_one_line(tmp_path: Path):
    finished = run("--for", "npu", "--json", path=tmp_path)
    assert finished.returncode == 5
    document = json.loads(finished.stdout)
    assert document["for"] == "npu"
    assert {"name", "state", "found", "fix"} == set(document["checks"][0])
