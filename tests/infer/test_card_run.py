import hashlib
import json
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from detector.errors import ArtifactError, MissingEnvironmentError, SpecError, ToolError
from detector.geometry import Size
from detector.products.bins_manifest import BinImage, BinsManifest
from detector.products.manifest_files import write_manifest
from detector.products.results_origin import RunFacts, find_origin
from detector.spec_files import load_spec
from detector.tools import Finished
from infer.__main__ import main
from infer.card_run import run_om
from infer.contract.options import Options, parse
from infer.contract.result_folder import reserved, result_prefix


class FakeTool:
    """ais_bench as seen from outside: what it was asked, what it leaves."""

    def __init__(
        self,
        *,
        leaves: Path | None = None,
        says: object = (),
        exit_code: int = 0,
        lines: Sequence[str] = (),
        python: str = "python3",
    ):
        self.says = says or {}
        self.commands: list[list[str]] = []
        self.leaves, self.exit_code, self.lines, self.python = leaves, exit_code, tuple(lines), python

    def __call__(self, command: list[str], **_: Any) -> Finished:
        if command[1] == "-c":
            return Finished(0 if command[0] == self.python else 1, ())
        self.commands.append(command)
        if self.leaves:
            self.leaves.write_text(json.dumps(self.says))
        return Finished(self.exit_code, self.lines)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "m.om").touch()
    (tmp_path / "bins").mkdir()
    return tmp_path


def run(arguments: str, tool: FakeTool) -> int:
    return run_om(parse(arguments.split()), run=tool)


def test_options_of_the_card_are_passed_on(folder: Path):
    tool = FakeTool()
    assert run("--model m.om --input bins --pipeline 1 --threads 4 --device 0,1", tool) == 0
    expected = "python3 -m ais_bench --model m.om --input bins --device 0,1 --pipeline 1 --threads 4"
    assert tool.commands == [expected.split()]


def test_the_output_folder_is_made_as_the_tool_demands(folder: Path):
    run("--model m.om --output out/a --output_dirname r", FakeTool(leaves=folder / "out/a/r_summary.json"))
    assert [(folder / name).stat().st_mode & 0o777 for name in ("out", "out/a")] == [0o750, 0o750]


def test_prefixes_are_spelled_out(folder: Path):
    tool = FakeTool()
    run("--mod m.om --npu_id=1 --inp bins", tool)
    assert tool.commands == [["python3", "-m", "ais_bench", "--model", "m.om", "--input", "bins", "--npu_id", "1"]]


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


def test_a_failure_is_explained(folder: Path):
    lines = ["[ERROR] aclmdlExecute failed, ret is 207001", "RuntimeError: [-1][ACL: general failure]"]
    with pytest.raises(ToolError, match=r"; that is: memory could not be allocated; next: look at Memory-Usage"):
        run("--model m.om", FakeTool(exit_code=1, lines=lines))


@pytest.fixture
def geared(folder: Path) -> Path:
    """An OM with batch gears."""
    spec = load_spec("demo").model_dump(mode="json")
    spec["atc"]["batch_sizes"] = [1, 4, 8]
    (folder / "m.om.json").write_text(json.dumps({"spec": spec}))
    return folder


def test_an_om_with_gears_runs_its_largest_batch(geared: Path):
    tool = FakeTool()
    run("--model m.om", tool)
    assert tool.commands[0][-2:] == ["--dymBatch", "8"]


def test_a_gear_that_the_om_lacks_is_refused_before(geared: Path):
    tool = FakeTool()
    with pytest.raises(SpecError, match=r"--dymBatch 2 is no gear of m\.om.*--dymBatch 1 \| 4 \| 8"):
        run("--model m.om --dymBatch 2", tool)
    assert not tool.commands


def test_the_figures_are_told_with_what_they_contain(folder: Path, caplog: pytest.LogCaptureFixture):
    figures = {"min": 2.0, "max": 2.0, "mean": 2.0, "median": 2.0, "percentile(99%)": 2.0, "count": 1}
    document = {
        "filesinfo": {"0": {"infiles": ["bins/a.bin"], "outfiles": ["out/r/a_0.bin"]}},
        "args": ["ais_bench/__main__.py", "--model", "m.om"],
        **dict.fromkeys(("NPU_compute_time", "H2D_latency", "D2H_latency"), figures),
        "npu_compute_time_list": [2.0, 2.0],
        "throughput": 500.0,
        "pid": 1,
    }
    caplog.set_level("INFO")
    run("--model m.om --output out --output_dirname r", FakeTool(leaves=folder / "out/r_summary.json", says=document))
    assert "500.00 /s  ais_bench's own: 1000 * 1 / mean execution time" in caplog.text
    assert "166.67 /s  the same and copies" in caplog.text


def test_figures_that_cannot_be_understood_spoil_no_result(folder: Path, caplog: pytest.LogCaptureFixture):
    assert run("--model m.om --output out --output_dirname r", FakeTool(leaves=folder / "out/r_summary.json")) == 0
    assert "out/r_summary.json is no summary of ais_bench: it has no 'NPU_compute_time'" in caplog.text


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


def test_the_results_are_bound_as_they_lie_there(folder: Path):
    spec = load_spec("demo")
    (folder / "m.om.json").write_text(json.dumps({"spec": spec.model_dump(mode="json")}))

    class Tool(FakeTool):
        def __call__(self, command: list[str], **arguments: Any) -> Finished:
            if command[1] == "-c":
                return Finished(0, ("0.0.2",))
            (folder / "out/r/a_0.bin").write_bytes(b"labels")
            return super().__call__(command, **arguments)

    run("--model m.om --output out --output_dirname r --device 1", Tool(leaves=folder / "out/r_summary.json"))
    origin = find_origin(folder / "out" / "r")
    assert origin is not None
    assert origin.results == {"a_0.bin": hashlib.sha256(b"labels").hexdigest()}
    assert origin.run == RunFacts(backend="ais_bench", version="0.0.2", device="Ascend310P3 device 1")


def test_bins_are_compared_before_the_tool_reads_them(folder: Path):
    spec = load_spec("demo")
    (folder / "bins/a.bin").write_bytes(bytes(spec.input.num_bytes))
    size = Size(30, 40)
    image = BinImage.of(spec.letterbox(size), stem="a", file_name="a.jpg").model_copy(update={"sha256": "0" * 64})
    write_manifest(folder / "bins", BinsManifest(spec=spec, image_source="images", images=(image,)))
    tool = FakeTool()
    with pytest.raises(ArtifactError, match=r"bins/a\.bin is not the bin that was preprocessed"):
        run("--model m.om --input bins", tool)
    assert not tool.commands


def test_a_run_without_a_name_is_given_one_that_is_locked(folder: Path, monkeypatch: pytest.MonkeyPatch):
    """ais_bench itself names a folder by the second, which two runs may share."""
    seen: list[Options] = []
    locks: list[list[str]] = []

    def run_om(options: Options) -> int:
        seen.append(options)
        with reserved(result_prefix("out", options.output_dirname)):
            locks.append([path.name for path in (folder / "out").glob(".*")])
        return 0

    monkeypatch.setattr("infer.card_run.run_om", run_om)
    for extra in ([], ["--output_dirname", "r"]):
        assert main(["--model", "m.om", "--output", "out", *extra]) == 0
    assert re.fullmatch(r"\d{4}(_\d\d){2}-\d\d(_\d\d){2}", str(seen[0].output_dirname))
    assert locks == [[f".{seen[0].output_dirname}.lock"], [".r.lock"]]
