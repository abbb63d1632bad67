"""The image cannot be built in tests; what it relies on can be looked at."""

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TEXT = (ROOT / "docker/Dockerfile").read_text()
# One instruction per line, comments gone.
LINES = [line for line in TEXT.replace("\\\n", "").splitlines() if line and not line.startswith("#")]


def arguments(instruction: str) -> list[str]:
    return [line.split(maxsplit=1)[1] for line in LINES if line.startswith(f"{instruction} ")]


def test_the_python_is_one_that_the_project_takes():
    (base,) = arguments("FROM")
    found = re.match(r"python:(\d+\.\d+)-slim", base)
    assert found
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["requires-python"] == f">={found[1]}"
    assert f"Python {found[1]}" in (ROOT / "requirements.lock").read_text()


def test_what_is_copied_is_there():
    sources = [word for line in arguments("COPY") for word in line.split()[:-1]]
    assert sources == ["requirements.lock", "."]
    assert all((ROOT / source).exists() for source in sources)


def test_packages_are_installed_as_make_setup_does_it():
    """torch first and pinned, then the lock file."""
    steps = [step for line in arguments("RUN") for step in line.split("&&") if "pip install" in step]
    assert len(steps) == 2
    assert "grep '^torch==' requirements.lock" in steps[0]
    assert steps[1].strip().endswith("-r requirements.lock")
    setup = re.findall(r"\$\(VENV\)/\$\(PIP\) .*", (ROOT / "Makefile").read_text())
    assert len(setup) == 2
    assert "grep '^torch==' requirements.lock" in setup[0]
    assert setup[1].endswith("-r requirements.lock")


def test_the_command_is_a_target_that_takes_the_images_python():
    (command,) = arguments("CMD")
    assert command == '["make", "PY=python3", "demo"]'
    assert re.search(r"^demo:", (ROOT / "Makefile").read_text(), re.MULTILINE)


def test_nothing_that_git_ignores_gets_in():
    ignored = [line.strip("/") for line in (ROOT / ".gitignore").read_text().split()]
    kept_out = [line.removeprefix("**/") for line in (ROOT / "docker/Dockerfile.dockerignore").read_text().splitlines()]
    assert set(ignored) <= set(kept_out)


def test_it_does_not_run_as_root():
    assert arguments("USER") == ["omline"]
    assert LINES.index("USER omline") > LINES.index("COPY . ./")
