import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from detector.artifacts import find_origin
from detector.errors import ArtifactError, MissingEnvironmentError, ToolError
from detector.spec_files import load_spec
from detector.tools import Finished
from infer.ais_bench import ais_bench_command, run_om
from infer.options import parse


class FakeTool:
    """ais_bench as seen from outside: what it was asked, what it leaves."""

    def __init__(
        self, *, leaves: Path | None = None, exit_code: int = 0, lines: Sequence[str] = (), python: str = "python3"
    ):
        self.commands: list[list[str]] = []
        self.leaves, self.exit_code, self.lines, self.python = leaves, exit_code, tuple(lines), python

    def __call__(self, command: list[str], **_: Any) -> Finished:
        if command[1] == "-c":
            return Finished(0 if command[0] == self.python else 1, ())
        self.commands.append(command)
        if self.leaves:
            self.leaves.write_text("{}")
        return Finished(self.exit_code, self.lines)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "m.om").touch()
    (tmp_path / "bins").mkdir()
    return tmp_path


def run(arguments: str, tool: FakeTool) -> int:
    argv = arguments.split()
    return run_om(parse(argv), argv, run=tool)


def test_the_command_has_the_options_as_given():
    assert ais_bench_command(["--mod", "m.om", "--npu_id=1"]) == [
        "python3",
        "-m",
        "ais_bench",
        "--mod",
        "m.om",
        "--npu_id=1",
    ]


def test_options_of_the_card_are_passed_on(folder: Path):
    tool = FakeTool()
    assert run("--model m.om --input bins --pipeline 1 --threads 4 --device 0,1", tool) == 0
    expected = "python3 -m ais_bench --model m.om --input bins --pipeline 1 --threads 4 --device 0,1"
    assert tool.commands == [expected.split()]


def test_the_output_folder_is_made_as_the_tool_demands(folder: Path):
    run("--model m.om --output out/a --output_dirname r", FakeTool(leaves=folder / "out/a/r_summary.json"))
    assert [(folder / name).stat().st_mode & 0o777 for name in ("out", "out/a")] == [0o750, 0o750]


@pytest.mark.parametrize("existing", ["out", "r"])
def test_a_folder_that_the_tool_would_refuse_is_named_before(folder: Path, existing: str):
    (folder / existing).mkdir(mode=0o755)
    tool = FakeTool()
    with pytest.raises(ArtifactError, match=f"{existing} has mode 0755, .*run `chmod 750 {existing}`"):
        run("--model m.om --output out --output_dirname r", tool)
    assert not tool.commands


def test_an_old_summary_does_not_pass_for_a_new_one(folder: Path):
    (folder / "out").mkdir(mode=0o750)
    (folder / "out/r_summary.json").touch()
    with pytest.raises(ToolError, match=r"reported success but left no out/r_summary\.json"):
        run("--model m.om --output out --output_dirname r", FakeTool())


def test_a_failure_has_the_command_and_the_last_lines(folder: Path):
    lines = ["[INFO] acl init success", "", "RuntimeError: [-1][ACL: general failure]"]
    with pytest.raises(
        ToolError, match=r"python3 -m ais_bench --model m\.om exited with 1: .* \| RuntimeError: \[-1\]"
    ):
        run("--model m.om", FakeTool(exit_code=1, lines=lines))


def test_a_usage_error_keeps_its_exit_code(folder: Path):
    assert run("--model m.om", FakeTool(exit_code=2)) == 2


def test_without_the_tool_the_environment_is_missing(folder: Path):
    with pytest.raises(MissingEnvironmentError, match=r"ais_bench is not installed .*NPU host.*\.onnx"):
        run("--model m.om --output out --output_dirname r", FakeTool(python="none"))
    assert not (folder / "out").exists()


def test_the_tool_may_be_in_this_environment(folder: Path):
    tool = FakeTool(python=sys.executable)
    run("--model m.om", tool)
    assert tool.commands[0][0] == sys.executable


@pytest.mark.parametrize(
    ("options", "said", "name"),
    [("--output_dirname r", (), "r"), ("", ("[INFO] output path:out/2024_01_01-00_00_00",), "2024_01_01-00_00_00")],
)
def test_the_origin_is_recorded_beside_the_results(folder: Path, options: str, said: tuple[str, ...], name: str):
    spec = load_spec("demo")
    (folder / "m.om.json").write_text(json.dumps({"spec": spec.model_dump(mode="json")}))
    run(f"--model m.om --output out {options}", FakeTool(leaves=folder / f"out/{name}_summary.json", lines=said))
    origin = find_origin(folder / "out" / name)
    assert origin is not None
    assert (origin.model.file, origin.classes, origin.canvas) == ("m.om", spec.classes, spec.canvas)


def test_an_old_origin_does_not_outlive_a_failure(folder: Path):
    (folder / "out").mkdir(mode=0o750)
    (folder / "out/r_origin.json").touch()
    with pytest.raises(ToolError):
        run("--model m.om --output out --output_dirname r", FakeTool(exit_code=1))
    assert not (folder / "out/r_origin.json").exists()
