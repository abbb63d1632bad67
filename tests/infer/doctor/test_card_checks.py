"""The NPU half of `make doctor`, on hosts made of stand-in programs, folders and variables."""

import json
import os
import sys
import sysconfig
from collections.abc import Callable
from pathlib import Path

import pytest

from infer.doctor import npu_host
from infer.doctor.card_checks import Check
from infer.doctor.examine import Report, examine
from tests.infer.conftest import NPU_SMI, device_tools, program

ROOT = Path(__file__).resolve().parents[3]


def look(purpose: str = "npu", **given: str) -> Report:
    return examine(purpose, **{"output": "results", **given})  # type: ignore[arg-type]


def find(report: Report, name: str) -> Check:
    return next(check for check in report.checks if check.name == name)


def test_a_host_in_order_is_fit(npu: Path):
    report = look("auto")
    assert report.purpose == "npu"
    assert [check.name for check in report.checks if check.state != "ok"] == []
    assert report.is_fit
    assert find(report, "driver").found == "version 25.2.1"
    assert find(report, "cards").found == "device 0: 310P3 OK, device 1: 310P3 OK"
    assert find(report, "chip").found == "Ascend310P3 (SOC=Ascend310P3)"
    assert find(report, "cann").found.startswith("8.1.RC1 in ")
    assert find(report, "cann").found.endswith("opset up to 16 with the NMS operator")
    assert find(report, "aclruntime").found == "0.0.2 for python3 3.10.12"


OTHER_WHEEL = json.dumps(
    [
        *("3.10.12", "0.0.2", "0.0.2", "ModuleNotFoundError: No module named 'aclruntime'", True),
        *(["aclruntime.cpython-39-aarch64-linux-gnu.so"], ".cpython-310-x86_64-linux-gnu.so", True),
    ]
)


OTHER_WHEEL_FIX = (
    "the wheel is of another Python or processor: it has aclruntime.cpython-39-aarch64-linux-gnu.so, this Python loads "
    "aclruntime.cpython-310-x86_64-linux-gnu.so; install aclruntime-0.0.2-cp310-cp310-linux_"
)


def unloadable(machine: Path, problem: str) -> None:
    """An aclruntime that is installed and cannot be imported."""
    device_tools(machine, json.dumps(["3.10.12", "0.0.2", "0.0.2", problem, True]))


def without(machine: Path, *names: str) -> None:
    for name in names:
        (machine / name).unlink()


@pytest.mark.parametrize(
    ("spoil", "name", "state", "found", "fix"),
    [
        (lambda m: without(m, "bin/npu-smi"), "driver", "missing", "npu-smi is not on PATH", "install the NPU driver"),
        (
            lambda m: program(m, "npu-smi", "dcmi module initialize failed. ret is -8005", 255),
            *("driver", "missing", "npu-smi info exited with 255: dcmi module", "install the NPU driver"),
        ),
        (
            lambda m: program(m, "npu-smi", NPU_SMI.format(health="Warning")),
            *("cards", "note", "device 1: 310P3 Warning", "npu-smi info -t health -i 32`; leave 1 out of --device"),
        ),
        (
            lambda m: program(m, "npu-smi", NPU_SMI.format(health="Offline")),
            *("cards", "note", "device 1: 310P3 Offline", "leave 1 out of --device"),
        ),
        (
            lambda m: (m / "bin/npu-smi").write_text("#!/no/such/shell\n"),
            *("driver", "missing", "npu-smi info exited with 127: timeout: failed to run", "install the NPU driver"),
        ),
        (lambda m: program(m, "npu-smi", "| npu-smi 1 Version: 1 |"), "cards", "missing", "lists no card", "lspci"),
        (
            lambda m: program(m, "npu-smi", NPU_SMI.format(health="OK").replace("310P3", "910B3")),
            *("chip", "note", "Ascend910B3", "this project knows Ascend310P1, Ascend310P3"),
        ),
        (lambda m: without(m, "dev/davinci0", "dev/davinci1"), "devices", "missing", "no /dev/davinci0", "--device"),
        (lambda m: without(m, "dev/hisi_hdc"), "devices", "missing", "without ", "docker: --device "),
        (lambda m: without(m, "bin/atc"), "atc", "note", "not on PATH", "only to build OMs here"),
        (
            lambda m: device_tools(m, '["3.10.12", null, null, "ModuleNotFoundError: x", true]'),
            *("ais_bench", "missing", "not in python3", "install the ais_bench and aclruntime 0.0.2 wheels"),
        ),
        (
            lambda m: device_tools(m, '["3.10.12", "0.0.2", "0.0.2", "ImportError: libascendcl.so: absent", true]'),
            *("aclruntime", "missing", "libascendcl.so: absent", "source CANN's set_env.sh in this shell"),
        ),
        (
            lambda m: unloadable(m, "ImportError: libge.so: cannot open shared object"),
            *("aclruntime", "missing", "libge.so", "a library of CANN is not found: source set_env.sh"),
        ),
        (
            lambda m: unloadable(m, "ImportError: libascend_hal.so: cannot open shared object"),
            *("aclruntime", "missing", "libascend_hal.so", "library of the driver is not found: with a card"),
        ),
        (
            lambda m: unloadable(m, "ImportError: /x/aclruntime.so: undefined symbol: a"),
            *("aclruntime", "missing", "undefined symbol", "built against another CANN than is installed here"),
        ),
        (
            lambda m: device_tools(m, OTHER_WHEEL),
            *("aclruntime", "missing", "No module named 'aclruntime'", OTHER_WHEEL_FIX),
        ),
        (
            lambda m: device_tools(m, '["3.10.12", "3.1.2", "0.0.2", null, true, [], "", false]'),
            *("ais_bench", "missing", "3.1.2 for python3 3.10.12, which cannot run an OM", "uninstall it"),
        ),
        (
            lambda m: device_tools(m, '["3.12.1", "0.1.0", "0.0.2", null, true, [], "", true]'),
            *("ais_bench", "note", "0.1.0 for python3", "another command line"),
        ),
        (
            lambda m: device_tools(m, '["3.10.12", "0.0.2", null, "ModuleNotFoundError: No module", true]'),
            *("aclruntime", "missing", "No module", "install the ais_bench and aclruntime 0.0.2 wheels"),
        ),
        (
            lambda m: device_tools(m, '["3.10.12", "0.0.2", "0.0.1", null, true]'),
            *("aclruntime", "note", "0.0.1 for", "falls back to --run_mode tensor"),
        ),
        (
            lambda m: device_tools(m, '["3.12.1", "0.0.2", "0.0.2", null, false]'),
            *("aclruntime", "note", "no pkg_resources", "python3 -m pip install 'setuptools<81'"),
        ),
        (lambda m: (m / "work/results").mkdir(0o755) or (m / "work/results").chmod(0o755), "output", "missing",
         "results", "run `chmod 750 results`"),
        (lambda m: os.umask(0o002), "user", "note", "umask 0002", "`umask 0027` avoids it"),
        (lambda m: os.umask(0o277), "user", "missing", "umask 0277", "takes rights from the owner"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named_with_its_fix(
    spoil: Callable[[Path], object], name: str, state: str, found: str, fix: str, npu: Path
):
    spoil(npu)
    report = look()
    check = find(report, name)
    assert check.state == state
    assert found in check.found
    assert fix in (check.fix or "")
    assert report.is_fit == (state == "note")
    assert [other.name for other in report.checks if other.state == "missing"] == [name] * (state == "missing")


def test_cann_that_is_not_sourced_is_named_with_its_script(npu: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("ASCEND_TOOLKIT_HOME")
    check = find(look(), "cann")
    assert check.state == "missing"
    assert check.found.startswith("8.1.RC1 in ")
    assert check.fix == f"run `source {npu}/Ascend/ascend-toolkit/latest/set_env.sh`"


def test_a_driver_that_never_answers_ends(npu: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(npu_host, "PATIENCE", 0.1)
    (npu / "bin/npu-smi").write_text("#!/bin/sh\nexec sleep 30\n")
    check = find(look(), "driver")
    assert (check.state, check.found) == ("missing", "npu-smi info gave no answer in 0.1 s")


def test_a_cann_that_is_older_than_ais_bench_is_noted(npu: Path):
    info = npu / "Ascend/ascend-toolkit/latest" / npu_host.LIBRARIES / "ascend_toolkit_install.info"
    info.write_text("version=5.1.RC2\n")
    check = find(look(), "cann")
    assert check.state == "note"
    assert "ais_bench asks for CANN 6.0.RC1 or later" in (check.fix or "")


@pytest.mark.parametrize(
    ("libraries", "cards", "state"),
    [
        ("/c/lib64:/c/x86_64-linux/devlib/:/d", True, "note"),
        ("/c/lib64", True, "ok"),
        ("/c/lib64:/c/x86_64-linux/devlib", False, "ok"),
        ("/c/lib64:/c/devlib64", False, "note"),
    ],
)
def test_stubs_are_for_atc_without_a_card_alone(
    libraries: str, cards: bool, state: str, npu: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("LD_LIBRARY_PATH", libraries)
    if not cards:
        without(npu, "dev/davinci0", "dev/davinci1")
    assert find(look(), "atc").state == state


def test_the_chip_must_be_the_one_that_the_om_is_for(npu: Path):
    check = find(look(soc_version="Ascend310P1"), "chip")
    assert (check.state, check.fix) == (
        "missing",
        "the OM is for Ascend310P1: build it again with SOC=Ascend310P3",
    )
    assert find(look(soc_version="Ascend310P3"), "chip").state == "ok"


def test_the_probe_sees_what_ais_bench_sees(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A real Python with the stand-in for aclruntime and an ais_bench without metadata."""
    (tmp_path / "ais_bench").mkdir()
    (tmp_path / "ais_bench/__init__.py").touch()
    monkeypatch.setenv("PYTHONPATH", f"{ROOT}/tests/infer/shim:{tmp_path}")
    found = npu_host.read_device_tools(sys.executable)
    assert found is not None
    assert (found.ais_bench, found.aclruntime, found.problem) == ("unknown version", "0.0.2", None)
    assert (found.built, found.is_runner) == ([], False)
    (tmp_path / "ais_bench/infer").mkdir()
    (tmp_path / "aclruntime.cpython-39-aarch64-linux-gnu.so").touch()
    found = npu_host.read_device_tools(sys.executable)
    assert found is not None
    assert found.is_runner
    assert found.built == ["aclruntime.cpython-39-aarch64-linux-gnu.so"]
    assert found.suffix == sysconfig.get_config_var("EXT_SUFFIX")
