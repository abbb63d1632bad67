"""`make doctor`: can this machine do what it is meant for, and if not, what to do. Standard library only.

It must run where packages are missing, so nothing here imports numpy, pydantic or another stage's modules.
"""

import os
import platform
import re
import shutil
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Any, Literal

from detector import tools
from infer.contract import path_rules
from infer.doctor import npu_host
from infer.doctor.card_checks import Check, State, card_checks

Purpose = Literal["auto", "laptop", "npu"]
PYTHON_MIN = (3, 11)
# Distributions and lowest versions, as pyproject.toml has them (a test compares).
BASE = {
    "faster-coco-eval": "1.6",
    "numpy": "1.26",
    "onnx": "1.16",
    "opencv-python-headless": "4.8",
    "pillow": "10",
    "pycocotools": "2.0.7",
    "pydantic": "2.6",
    "pyyaml": "6",
    "tqdm": "4.66",
}
CPU = {"onnxruntime": "1.18"}
EXPORT = {"torch": "2.13.0", "onnxscript": "0.5"}
SPACE_MIN = 2 * 1024**3
# One float32 image on the usual canvas: 3 * 800 * 1344 * 4 bytes.
BIN_BYTES = 3 * 800 * 1344 * 4


@dataclass(frozen=True, slots=True)
class Report:
    """All looks at one machine."""

    purpose: str
    checks: tuple[Check, ...]

    @property
    def is_fit(self) -> bool:
        """Nothing that is needed is missing."""
        return all(check.state != "missing" for check in self.checks)

    def text(self) -> str:
        """A table for people."""
        lines = []
        for check in self.checks:
            lines.append(f"{check.state:8}{check.name:12}{check.found}")
            if check.fix:
                lines.append(f"{'':20}-> {check.fix}")
        verdict = "can do what it is meant for" if self.is_fit else "lacks what is marked missing"
        return "\n".join([*lines, f"this machine ({self.purpose}) {verdict}"])

    def document(self) -> dict[str, Any]:
        """The same as JSON values."""
        return {"for": self.purpose, "fit": self.is_fit, "checks": [asdict(check) for check in self.checks]}


def examine(purpose: Purpose, *, output: str, soc_version: str | None = None, run: tools.Runner = tools.run) -> Report:
    """Look at this machine.

    Args:
        purpose: "laptop": CPU runs and conversion's files; "npu": OMs on a card; "auto": npu where a trace of one is.
        output: folder that will receive results.
        soc_version: chip that the OM is for, or None.
        run: executes a command; tests pass their own.
    """
    driver, cann = npu_host.read_driver(run), npu_host.find_cann()
    if purpose == "auto":
        traces = driver or cann or npu_host.device_nodes() or tools.which("atc")
        purpose = "npu" if traces else "laptop"
    checks = [*_common(output, purpose)]
    if purpose == "laptop":
        checks += [_packages("cpu", CPU, needed=True), _packages("export", EXPORT, needed=False)]
    else:
        checks += card_checks(driver, cann, soc_version=soc_version, run=run)
    return Report(purpose, tuple(checks))


def _common(output: str, purpose: str) -> Iterator[Check]:
    version = platform.python_version()
    fit = sys.version_info[:2] >= PYTHON_MIN
    yield Check(
        "python",
        "ok" if fit else "missing",
        f"{version} {sys.executable}",
        None if fit else "python 3.11 or later; ais_bench may stay with the host's own python3",
    )
    yield _packages("packages", BASE, needed=True)
    mask = path_rules.umask()
    user = f"uid {os.geteuid()} gid {os.getegid()} groups {','.join(map(str, sorted(os.getgroups())))} umask {mask:04o}"
    problem = path_rules.umask_problem()
    # 0002 is the default of many distributions for ordinary users.
    open_mask = purpose == "npu" and mask & path_rules.READ_REFUSED != path_rules.READ_REFUSED
    hint = "files made under this umask can be too open for ais_bench; `umask 0027` avoids it" if open_mask else None
    yield Check("user", "missing" if problem else "note" if hint else "ok", user, problem or hint)
    yield _folder("folder", str(Path.cwd()), path_rules.read_problem(".") if purpose == "npu" else None)
    written = path_rules.write_problem(output) if purpose == "npu" else _unwritable(output)
    yield _folder("output", output, written)
    yield _space(output)


def _folder(name: str, path: str, problem: str | None) -> Check:
    return Check(name, "missing" if problem else "ok", path, problem)


def _unwritable(path: str) -> str | None:
    existing = _nearest(path)
    return None if os.access(existing, os.W_OK | os.X_OK) else f"{existing} cannot be written to: give another --output"


def _nearest(path: str) -> Path:
    absolute = Path(path).absolute()
    return next(folder for folder in (absolute, *absolute.parents) if folder.is_dir())


def _space(output: str) -> Check:
    free = shutil.disk_usage(_nearest(output)).free
    found = f"{free / 1024**3:.1f} GiB free, {free // BIN_BYTES} bins of 3x800x1344 float32"
    if free < SPACE_MIN:
        return Check("disk", "missing", found, "free some space, or put --output and the bins on another disk")
    return Check("disk", "ok", found)


def _packages(name: str, wanted: dict[str, str], *, needed: bool) -> Check:
    found, lacking = [], []
    for package, lowest in wanted.items():
        try:
            version = metadata.version(package)
        except metadata.PackageNotFoundError:
            lacking.append(package)
            continue
        found.append(f"{package} {version}")
        if _numbers(version) < _numbers(lowest):
            lacking.append(f"{package}>={lowest}")
    if not lacking:
        return Check(name, "ok", ", ".join(found))
    extra = "" if name == "packages" else f"[{name}]"
    state: State = "missing" if needed else "note"
    return Check(name, state, f"without {', '.join(lacking)}", f"run pip install '.{extra}' in the project's folder")


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(map(int, re.findall(r"\d+", version.partition("+")[0])))
