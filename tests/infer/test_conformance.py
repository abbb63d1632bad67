"""Every case that was run with the real ais_bench gives the same exit code, lines, files, bytes and summary here.

`ais_bench_observed.json` records what the unmodified Python part of ais_bench 0.0.2 (aclruntime repository, commit
8da7f645) did over the stand-in for its device layer (shim/), for the models and inputs of conftest.py and the commands
of conformance_cases.py; tests/oracles/record_ais_bench.py made it. Contents are the start of their SHA-256, times are
`#`, and lines that speak of the card (open device, ...) are left out.
"""

import hashlib
import json
import re
import stat
from pathlib import Path
from typing import Any

import pytest

from detector import cli
from infer.__main__ import main
from tests.infer.conformance_cases import CASES

OBSERVED = json.loads(Path(__file__).with_name("ais_bench_observed.json").read_text())
DONE = [name for name, case in OBSERVED.items() if case["exit"] == 0]
REFUSED = [name for name, case in OBSERVED.items() if case["exit"] != 0]
STAMP = r"\d{4}_\d\d_\d\d-\d\d_\d\d_\d\d"


def test_every_case_is_recorded():
    assert {name: case["arguments"] for name, case in OBSERVED.items()} == CASES


def run(case: dict[str, Any]) -> int | str | None:
    """Run our command with the case's arguments; its models are .onnx here."""
    with pytest.raises(SystemExit) as caught:
        cli.run(main, [argument.replace(".om", ".onnx") for argument in case["arguments"]])
    return caught.value.code


def masked(text: str) -> str:
    """Text without times and file types."""
    text = re.sub(r"(NPU_compute_time\.mean\()[-+0-9.e]+(\)): [-+0-9.e]+", r"\1#\2: #", text)
    return re.sub(STAMP, "<time>", re.sub(r"= [-+0-9.e]+", "= #", text)).replace(".onnx", ".om")


def entries(root: Path) -> list[tuple[str, Path]]:
    """Everything below a folder but our own record of the origin, the time stamp masked."""
    paths = [path for path in sorted(root.rglob("*")) if not path.name.endswith("_origin.json")]
    return [(re.sub(STAMP, "<time>", str(path.relative_to(root))), path) for path in paths]


@pytest.mark.parametrize("name", DONE)
def test_a_run_equals_the_real_tool(name: str, world: Path, capsys: pytest.CaptureFixture[str]):
    case = OBSERVED[name]
    assert run(case) == 0
    assert [masked(line) for line in capsys.readouterr().out.splitlines()] == case["lines"]

    contents, summaries = {}, {}
    for key, path in entries(world / "out"):
        assert stat.S_IMODE(path.stat().st_mode) == (0o750 if path.is_dir() else 0o640)
        if path.is_dir():
            contents[f"{key}/"] = ""
        elif key.endswith("_summary.json"):
            summaries[key] = json.loads(path.read_text())
        else:
            contents[key] = hashlib.sha256(path.read_bytes()).hexdigest()[:8]
    assert contents == case["folder"]
    assert list(summaries) == case["summaries"]
    for summary in summaries.values():
        check_summary(summary, case)


def check_summary(summary: dict[str, Any], case: dict[str, Any]) -> None:
    figures = ["min", "max", "mean", "median", "percentile(99%)", "count"]
    timed = ["NPU_compute_time", "H2D_latency", "D2H_latency"]
    assert list(summary) == ["filesinfo", "args", *timed, "npu_compute_time_list", "throughput", "pid"]
    assert all(list(summary[key]) == figures for key in timed)
    assert [summary[key]["count"] for key in timed] == case["counts"]
    assert len(summary["npu_compute_time_list"]) == case["counts"][0]
    assert hashlib.sha256(masked(json.dumps(summary["filesinfo"])).encode()).hexdigest()[:16] == case["filesinfo"]
    assert [argument.replace(".onnx", ".om") for argument in summary["args"][1:]] == case["arguments"]
    assert summary["args"][0].endswith("/__main__.py")


@pytest.mark.parametrize("name", REFUSED)
def test_a_refusal_has_the_exit_code_of_the_real_tool(name: str, world: Path, capsys: pytest.CaptureFixture[str]):
    case = OBSERVED[name]
    assert run(case) == case["exit"]
    lines = [line for line in capsys.readouterr().err.splitlines() if "error: " in line]
    assert len(lines) == 1
    assert not list(world.glob("out/*_summary.json"))
