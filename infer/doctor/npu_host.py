"""What an NPU host says about itself: driver, cards, CANN, the tools of a Python. Standard library only.

Sources: the table of `npu-smi info` (hiascend.com, Atlas 300I Pro, npu-smi reference: Version is the driver's, Name the
chip's, Health one of OK, Warning, Alarm, Critical, UNKNOWN); ascend_toolkit_install.info with its `version=` line in
`<CANN>/<arch>-linux/` (CANN's installation guides); set_env.sh and its variables: docs/facts/atc.md, section 8.3.
"""

import json
import os
import platform
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from detector import tools

DEVICES = Path("/dev")
ROOTS = ("/usr/local/Ascend", "~/Ascend")
# Folders of one CANN below a root; from 8.5 on it is called cann.
INSTALLED = ("cann", "ascend-toolkit/latest", "ascend-toolkit", "nnrt/latest")
# CANN's folder for this processor.
LIBRARIES = f"{platform.machine()}-linux"
HOME_VARIABLES = ("ASCEND_HOME_PATH", "ASCEND_TOOLKIT_HOME")
# Seconds for `npu-smi info` (it takes a few), and timeout's exit codes, the second after a kill.
PATIENCE, TIMED_OUT = 60, (124, 137)
# Two lines a chip: "| 32      310P3     | OK      | NA   49   0 / 0 |", "| 0       1         | 0000:02:00.0 | ...".
CARD = re.compile(
    r"^\|\s*(\d+)\s+([0-9A-Za-z]+)\s*\|\s*([A-Za-z]+)\s*\|.*\n"
    r"\|\s*\d+\s+(\d+)\s*\|",
    re.MULTILINE,
)
VERSION = re.compile(r"^\|\s*npu-smi\s+\S+\s+Version:\s*(\S+)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Card:
    """One chip.

    Attributes:
        npu: number for npu-smi's -i.
        name: such as 310P3.
        health: npu-smi's word, OK or worse.
        device: number for ais_bench's --device.
    """

    npu: int
    name: str
    health: str
    device: int


@dataclass(frozen=True, slots=True)
class Driver:
    """What `npu-smi info` said; `problem` is its last line where it failed."""

    version: str | None
    cards: tuple[Card, ...]
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class Cann:
    """One CANN: its folder, its version if it tells, whether set_env.sh was sourced in this shell."""

    folder: Path
    version: str | None
    is_set: bool

    @property
    def set_env(self) -> str:
        """The script to source."""
        here = self.folder / "set_env.sh"
        return str(here if here.exists() else self.folder.parent / "set_env.sh")


@dataclass(frozen=True, slots=True)
class DeviceTools:
    """ais_bench and aclruntime as one Python sees them.

    Attributes:
        python: the interpreter.
        python_version: its version.
        ais_bench: version, or None if absent.
        aclruntime: version, or None.
        problem: why aclruntime cannot be imported, or None if it can.
        has_pkg_resources: ais_bench asks it for aclruntime's version.
        built: files of aclruntime on its path, such as aclruntime.cpython-39-aarch64-linux-gnu.so.
        suffix: how such a file must end for this Python and processor.
        is_runner: its ais_bench is the one that runs OMs; PyPI's ais-bench-benchmark has the same name.
    """

    python: str
    python_version: str
    ais_bench: str | None
    aclruntime: str | None
    problem: str | None
    has_pkg_resources: bool
    built: Sequence[str] = ()
    suffix: str = ""
    is_runner: bool = True


def read_driver(run: tools.Runner = tools.run) -> Driver | None:
    """The driver and its cards; None where npu-smi is not on PATH."""
    if tools.which("npu-smi") is None:
        return None
    # `timeout` of coreutils: npu-smi can wait forever for a card that does not answer. It also tells of an npu-smi that
    # this machine cannot run.
    finished = run(["timeout", "-k", "5", str(PATIENCE), "npu-smi", "info"], check=False)
    text = "\n".join(finished.lines)
    version = VERSION.search(text)
    found = CARD.findall(text)
    cards = tuple(Card(int(npu), name, health, int(device)) for npu, name, health, device in found)
    said = next((line for line in reversed(finished.lines) if line.strip()), "no output")
    problem = f"exited with {finished.exit_code}: {said}" if finished.exit_code else None
    if finished.exit_code in TIMED_OUT:
        problem = f"gave no answer in {PATIENCE} s"
    return Driver(version[1] if version else None, cards, problem)


def find_cann() -> Cann | None:
    """The CANN of this shell, or one that is installed but not set; None where there is none."""
    for variable in HOME_VARIABLES:
        folder = Path(os.environ.get(variable) or "")
        if os.environ.get(variable) and folder.is_dir():
            return Cann(folder, _cann_version(folder), is_set=True)
    for root in ROOTS:
        for name in INSTALLED:
            folder = Path(root).expanduser() / name
            if (folder / "set_env.sh").exists() or ((folder.parent / "set_env.sh").exists() and folder.exists()):
                return Cann(folder, _cann_version(folder), is_set=False)
    return None


def _cann_version(folder: Path) -> str | None:
    for name in ("ascend_toolkit_install.info", "ascend_nnrt_install.info"):
        for file in (folder / LIBRARIES / name, folder / name):
            if file.is_file():
                found = re.search(r"^version=(\S+)", file.read_text(errors="replace"), re.MULTILINE)
                if found:
                    return found[1]
    return None


def device_nodes() -> list[Path]:
    """The cards' device files, /dev/davinci0 and so on."""
    return sorted(path for path in DEVICES.glob("davinci*") if re.fullmatch(r"davinci\d+", path.name))


# What the probe says of a package without metadata.
UNKNOWN = "unknown version"
PROBE = """
import glob, json, os, sys, sysconfig
from importlib import metadata, util
def version(name):
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "unknown version" if util.find_spec(name) else None
def has(name):
    try:
        return util.find_spec(name) is not None
    except ImportError:
        return False
problem = None
try:
    import aclruntime
except (ImportError, OSError) as error:
    problem = type(error).__name__ + ": " + str(error)
built = {os.path.basename(file) for folder in sys.path for file in glob.glob(os.path.join(folder, "aclruntime*.so"))}
print(json.dumps([sys.version.split()[0], version("ais_bench"), version("aclruntime"), problem, has("pkg_resources"),
    sorted(built), sysconfig.get_config_var("EXT_SUFFIX"), has("ais_bench.infer")]))
"""


def read_device_tools(python: str, run: tools.Runner = tools.run) -> DeviceTools | None:
    """What a Python sees of the card's tools; None if there is no such Python."""
    if tools.which(python) is None:
        return None
    finished = run([python, "-W", "ignore", "-c", PROBE], check=False)
    for line in reversed(finished.lines):
        if line.startswith("["):
            return DeviceTools(python, *json.loads(line))
    return None
