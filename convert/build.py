"""One conversion from file to files."""

import contextlib
import dataclasses
import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import onnx

from convert.aipp.config import aipp_of, aipp_text
from convert.atc.command import atc_command, atc_script
from convert.atc.run import run_atc
from convert.candidates import with_candidate_count
from convert.graphs import frozen_graph, lowered_graph, stand_in_graph
from convert.lint.check import lint
from convert.lint.gears import Gears
from convert.lint.report import first_causes
from convert.plan import Plan
from convert.precision.files import read_keep
from convert.precision.modes import require_names
from detector.artifacts import make_folder, sha256_of, write_error, write_json, write_text
from detector.atc_spec import FILE_OPTIONS
from detector.errors import ArtifactError, SpecError
from detector.onnx_file import embed_spec, write_onnx
from detector.spec import DetectorSpec
from detector.spec_files import read_spec_json

# Of a conversion without atc, in the order of their appearance: the model last.
PRODUCTS = (".atc.onnx", ".om.json", ".atc.sh", ".onnx")


@dataclass(frozen=True, slots=True)
class Conversion:
    """What a conversion made.

    Attributes:
        model: what `infer` runs: the OM, or its stand-in.
        target: "om" or "cpu".
        command: the atc command, run here or to be run on the NPU host; empty if atc cannot take the graph.
        files: everything written.
        spec: as the product carries it.
        obstacle: why atc cannot take the graph, so that the stand-in stands alone; None: it can.
    """

    model: Path
    target: Literal["om", "cpu"]
    command: tuple[str, ...]
    files: tuple[Path, ...]
    spec: DetectorSpec
    obstacle: str | None = None


def convert(plan: Plan) -> Conversion:
    """Carry a plan out; the model itself is written last.

    Raises:
        SpecError: the graph cannot be made static or lowered, or `atc.keep_dtype` names what it lacks.
        ToolError: atc failed.
        ArtifactError: a file cannot be read or written.
    """
    _keep_input(plan)
    frozen, problem = frozen_graph(plan)
    if plan.spec.atc.nms == "host":
        plan = dataclasses.replace(plan, spec=with_candidate_count(plan.spec, frozen.graph))
    _keep_om(plan)
    lowered = None if problem else lowered_graph(plan, frozen)
    if lowered is not None:
        if plan.spec.atc.keep_dtype is not None:
            require_names(lowered.graph, read_keep(Path(plan.spec.atc.keep_dtype)))
        problem = _lint_problem(plan, lowered)
    if problem is not None and not plan.may_stand_alone:
        raise SpecError(
            f"{plan.onnx_file} cannot be lowered for atc: {problem}; --target cpu makes the stand-in for onnxruntime "
            "alone"
        )
    embed_spec(frozen, plan.spec)
    make_folder(plan.output.parent)
    if lowered is None or problem is not None:
        return _build_alone(plan, frozen, problem)
    embed_spec(lowered, plan.spec)
    return _build_om(plan, lowered) if plan.target == "om" else _build_stand_in(plan, frozen, lowered)


def _lint_problem(plan: Plan, lowered: onnx.ModelProto) -> str | None:
    """The first rules of atc and the card that the lowered graph breaks; None: it keeps all that are known."""
    report = lint(lowered, soc=plan.soc_version, gears=Gears.of(plan.spec.atc))
    return first_causes(report) if report.failures else None


def _build_om(plan: Plan, lowered: onnx.ModelProto) -> Conversion:
    # The spec beside an OM is of that OM or it is not there: it goes before the OM changes and comes after.
    plan.sidecar.unlink(missing_ok=True)
    write_onnx(plan.lowered_file, lowered)
    if plan.aipp_file:
        write_text(plan.aipp_file, aipp_text(aipp_of(plan.spec)))
    om = run_atc(plan.command, plan.output)
    write_json(plan.sidecar, _record(plan))
    files = [file for file in (plan.lowered_file, plan.aipp_file, om, plan.sidecar) if file]
    return Conversion(om, "om", tuple(plan.command), tuple(files), plan.spec)


def _build_stand_in(plan: Plan, frozen: onnx.ModelProto, lowered: onnx.ModelProto) -> Conversion:
    name = plan.output.name
    remote = atc_command(
        plan.spec,
        Path(f"{name}.atc.onnx"),
        Path(name),
        batch_size=plan.batch_size,
        soc_version=plan.soc_version,
        files=_companions(plan),
        insert_op_conf=Path(plan.aipp_file.name) if plan.aipp_file else None,
    )
    # Made aside and moved together: a full disk or an interrupt leaves all files of one conversion or none.
    with _folder_aside(plan.output.parent) as aside:
        write_onnx(aside / f"{name}.atc.onnx", lowered)
        write_json(aside / f"{name}.om.json", _record(plan))
        write_text(aside / f"{name}.atc.sh", atc_script(remote, Path(name)), mode=0o755)
        write_onnx(aside / f"{name}.onnx", stand_in_graph(plan, frozen))
        if plan.aipp_file:
            write_text(aside / plan.aipp_file.name, aipp_text(aipp_of(plan.spec)))
        companions = _companions(plan)
        for option, file in companions.items():
            shutil.copyfile(str(getattr(plan.spec.atc, option)), aside / file)
        files = []
        rendered = [plan.aipp_file.name] if plan.aipp_file else []
        for suffix in (*(file.removeprefix(name) for file in (*companions.values(), *rendered)), *PRODUCTS):
            target = Path(f"{plan.output}{suffix}")
            try:
                os.replace(aside / f"{name}{suffix}", target)
            except OSError as error:
                raise write_error(target, error) from error
            files.append(target)
    return Conversion(files[-1], "cpu", tuple(remote), tuple(files), plan.spec)


def _companions(plan: Plan) -> dict[str, str]:
    """Files that options of atc name, as they are called beside the product."""
    files = {option: getattr(plan.spec.atc, option) for option in FILE_OPTIONS}
    return {option: f"{plan.output.name}.{option}{Path(file).suffix}" for option, file in files.items() if file}


def _build_alone(plan: Plan, frozen: onnx.ModelProto, problem: str | None) -> Conversion:
    model = Path(f"{plan.output}.onnx")
    # What an earlier conversion left for the NPU host is another model's; the spec beside an OM stays with it.
    for suffix in PRODUCTS[:3]:
        if suffix != ".om.json" or not Path(f"{plan.output}.om").exists():
            Path(f"{plan.output}{suffix}").unlink(missing_ok=True)
    write_onnx(model, stand_in_graph(plan, frozen))
    return Conversion(model, "cpu", (), (model,), plan.spec, problem)


@contextlib.contextmanager
def _folder_aside(parent: Path) -> Iterator[Path]:
    """A temporary folder on the same file system, gone afterwards."""
    try:
        folder = tempfile.TemporaryDirectory(prefix=".convert.", dir=parent)
    except OSError as error:
        raise write_error(parent, error) from error
    with folder as name:
        yield Path(name)


def _record(plan: Plan) -> dict[str, Any]:
    """What stands beside an OM, which cannot carry its spec itself."""
    return {
        "spec": plan.spec.model_dump(mode="json"),
        "batch_size": plan.batch_size,
        "source": {"file": plan.onnx_file.name, "sha256": sha256_of(plan.onnx_file)},
    }


def _keep_input(plan: Plan) -> None:
    """Refuse to overwrite the model that is converted."""
    for suffix in PRODUCTS:
        target = Path(f"{plan.output}{suffix}")
        if target.is_dir():
            raise ArtifactError(f"cannot write {target}: a folder is in the way; remove it or give another --output")
        if target.resolve() == plan.onnx_file.resolve():
            raise SpecError(f"--output {plan.output} would overwrite the input {plan.onnx_file}; give another name")


def _keep_om(plan: Plan) -> None:
    """Refuse to describe an OM that was built from something else."""
    om = Path(f"{plan.output}.om")
    if plan.target == "cpu" and om.exists() and plan.sidecar.exists():
        described = read_spec_json(plan.sidecar)
        if described != plan.spec:
            raise ArtifactError(
                f"{om} was built from another spec than {plan.onnx_file}: remove it, or give another --output"
            )
