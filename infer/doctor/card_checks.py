"""What a machine needs to run an OM: driver, cards, device files, CANN, ais_bench. Standard library only."""

import os
import platform
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from detector import tools
from detector.card.sheet import CHIPS, TOOL_CANN, TOOL_COMMIT, TOOL_VERSION, nms_opsets, number
from detector.diagnosis.log import explain_log
from infer.doctor import npu_host

GUIDE = "docs/npu_host.md"

State = Literal["ok", "note", "missing"]


@dataclass(frozen=True, slots=True)
class Check:
    """One look: what was found and, unless all is well, what to do.

    States: "ok"; "note": works, but worth knowing; "missing": needed here and not there.
    """

    name: str
    state: State
    found: str
    fix: str | None = None


def card_checks(
    driver: npu_host.Driver | None, cann: npu_host.Cann | None, *, soc_version: str | None, run: tools.Runner
) -> list[Check]:
    """Look at everything that an NPU host has and a laptop has not.

    Args:
        driver: as read, or None.
        cann: as found, or None.
        soc_version: chip that the OM is for, or None.
        run: executes a command.
    """
    return [*_driver(driver), _chip(driver, soc_version), _devices(), _cann(cann), _atc(), *_tools(run)]


def _driver(driver: npu_host.Driver | None) -> Iterator[Check]:
    install = f"install the NPU driver and firmware, or mount npu-smi and the driver into the container ({GUIDE})"
    if driver is None:
        yield Check("driver", "missing", "npu-smi is not on PATH", install)
        return
    if driver.problem:
        yield Check("driver", "missing", f"npu-smi info {driver.problem}", install)
        return
    yield Check("driver", "ok" if driver.version else "note", f"version {driver.version or 'not told by npu-smi info'}")
    sick = [card for card in driver.cards if card.health != "OK"]
    listed = ", ".join(f"device {card.device}: {card.name} {card.health}" for card in driver.cards) or "none"
    if not driver.cards:
        yield Check("cards", "missing", "npu-smi info lists no card", "look at lspci and dmesg; restart the host")
    elif sick:
        fix = f"see `npu-smi info -t health -i {sick[0].npu}`; leave {sick[0].device} out of --device"
        yield Check("cards", "note" if len(sick) < len(driver.cards) else "missing", listed, fix)
    else:
        yield Check("cards", "ok", listed)


def _chip(driver: npu_host.Driver | None, wanted: str | None) -> Check:
    """The chip's name as atc spells it: that of npu-smi after the word Ascend (docs/facts/atc.md, section 4)."""
    names = sorted({card.name for card in driver.cards}) if driver else []
    spelt = [name if name.startswith("Ascend") else f"Ascend{name}" for name in names]
    found = ", ".join(spelt) or "unknown without a card"
    if not spelt:
        return Check("chip", "note", found, "give SOC= to make om on a machine without a card")
    if wanted is not None and wanted.removeprefix("Ascend") not in (name.removeprefix("Ascend") for name in spelt):
        mend = f"build it again with SOC={spelt[0]}" if spelt[0] in CHIPS else "this card needs another project"
        return Check("chip", "missing", found, f"the OM is for {wanted}: {mend}")
    strange = [name for name in spelt if name not in CHIPS]
    if strange:
        return Check("chip", "note", found, f"this project knows {', '.join(CHIPS)}; an OM runs only on its own chip")
    return Check("chip", "ok", f"{found} (SOC={spelt[0]})")


def _devices() -> Check:
    nodes = npu_host.device_nodes()
    if not nodes:
        fix = "docker: add --device /dev/davinci0 and the three others of " + GUIDE
        return Check("devices", "missing", "no /dev/davinci0", fix)
    managers = [npu_host.DEVICES / name for name in ("davinci_manager", "devmm_svm", "hisi_hdc")]
    absent = [str(path) for path in managers if not path.exists()]
    if absent:
        fix = f"docker: --device {' --device '.join(absent)}"
        return Check("devices", "missing", f"without {', '.join(absent)}", fix)
    barred = [path for path in (*nodes, *managers) if not os.access(path, os.R_OK | os.W_OK)]
    if barred:
        group = barred[0].stat().st_gid
        fix = f"join the driver's group {group}: sudo usermod -aG {group} $USER, then log in again"
        return Check("devices", "missing", f"no right to {', '.join(map(str, barred))}", fix)
    return Check("devices", "ok", ", ".join(map(str, nodes)))


def _cann(cann: npu_host.Cann | None) -> Check:
    if cann is None:
        return Check("cann", "missing", "none in /usr/local/Ascend or ~/Ascend", f"install the CANN toolkit ({GUIDE})")
    version = cann.version or "of unknown version"
    if not cann.is_set:
        return Check("cann", "missing", f"{version} in {cann.folder}, not set here", f"run `source {cann.set_env}`")
    if cann.version is None:
        return Check("cann", "note", f"{version} in {cann.folder}", "opsets by release: " + GUIDE)
    if number(cann.version) < number(TOOL_CANN):
        fix = f"ais_bench asks for CANN {TOOL_CANN} or later; atc of this one takes opset 11 (UNCONFIRMED for 5.1)"
        return Check("cann", "note", f"{version} in {cann.folder}", fix)
    opset = f"opset up to {nms_opsets(cann.version)[1]} with the NMS operator"
    return Check("cann", "ok", f"{version} in {cann.folder}, {opset}")


def _atc() -> Check:
    path = tools.which("atc")
    if path is None:
        return Check("atc", "note", "not on PATH", "needed only to build OMs here; source set_env.sh of the toolkit")
    # Compile-time stubs of the libraries: atc needs them where no driver is, a run with a card must not see them.
    has_stubs = re.search(r"/devlib/*(:|$)", os.environ.get("LD_LIBRARY_PATH", "")) is not None
    if has_stubs and npu_host.device_nodes():
        fix = "take devlib out of LD_LIBRARY_PATH: with a card its libraries end in return code 100039"
        return Check("atc", "note", f"{path}, devlib in LD_LIBRARY_PATH", fix)
    if not has_stubs and not npu_host.device_nodes():
        fix = f"without a card atc wants {npu_host.LIBRARIES}/devlib of CANN in LD_LIBRARY_PATH"
        return Check("atc", "note", f"{path}, no devlib in LD_LIBRARY_PATH", fix)
    return Check("atc", "ok", path)


def _tools(run: tools.Runner) -> Iterator[Check]:
    """As infer does: the host's python3 first, then ours."""
    pythons = ("python3", sys.executable)
    looks = [npu_host.read_device_tools(python, run) for python in pythons]
    usable = next((found for found in looks if found and found.ais_bench), None)
    install = f"install the ais_bench and aclruntime {TOOL_VERSION} wheels of its Python and processor ({GUIDE})"
    if usable is None:
        yield Check("ais_bench", "missing", f"not in {' or '.join(pythons)}", install)
        return
    yield _ais_bench(usable, install)
    yield _aclruntime(usable, install)


def _ais_bench(found: npu_host.DeviceTools, install: str) -> Check:
    where = f"{found.ais_bench} for {found.python} {found.python_version}"
    if not found.is_runner:
        fix = f"it is another program of that name (ais-bench-benchmark): uninstall it; {install}"
        return Check("ais_bench", "missing", f"{where}, which cannot run an OM", fix)
    if found.ais_bench not in {TOOL_VERSION, npu_host.UNKNOWN}:
        known = f"this project speaks to {TOOL_VERSION} (commit {TOOL_COMMIT})"
        fix = f"{known}; a newer one has another command line: {install}"
        return Check("ais_bench", "note", where, fix)
    return Check("ais_bench", "ok", where)


def _aclruntime(found: npu_host.DeviceTools, install: str) -> Check:
    where = f"for {found.python} {found.python_version}"
    if found.problem:
        return Check("aclruntime", "missing", f"{found.problem} {where}", _mend(found, found.problem, install))
    if found.aclruntime != TOOL_VERSION:
        fix = f"ais_bench falls back to --run_mode tensor; {install}"
        return Check("aclruntime", "note", f"{found.aclruntime} {where}", fix)
    if not found.has_pkg_resources:
        fix = f"ais_bench falls back to --run_mode tensor; run {found.python} -m pip install 'setuptools<81'"
        return Check("aclruntime", "note", f"{found.aclruntime} {where}, which has no pkg_resources", fix)
    return Check("aclruntime", "ok", f"{found.aclruntime} {where}")


def _mend(found: npu_host.DeviceTools, problem: str, install: str) -> str:
    """What mends an aclruntime that cannot be imported: the wheel of another Python, a library, or a symbol."""
    if found.built and not any(file == f"aclruntime{found.suffix}" for file in found.built):
        return (
            f"the wheel is of another Python or processor: it has {found.built[0]}, this Python loads "
            f"aclruntime{found.suffix}; install {_wheel(found)} ({GUIDE})"
        )
    known = explain_log([problem])
    if known and known[0].advice:
        return f"{known[0].advice.cause}: {known[0].advice.step}"
    # A library that is not found is the shell's fault, not the wheel's.
    return "source CANN's set_env.sh in this shell" if ".so" in problem else install


def _wheel(found: npu_host.DeviceTools) -> str:
    """The name of the wheel for a Python on this machine."""
    tag = "cp" + "".join(found.python_version.split(".")[:2])
    return f"aclruntime-{TOOL_VERSION}-{tag}-{tag}{'m' if tag == 'cp37' else ''}-linux_{platform.machine()}.whl"
