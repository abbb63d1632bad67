"""One conversion from file to files."""

import contextlib
import dataclasses
import hashlib
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import onnx

from convert.aipp.config import aipp_of, aipp_text
from convert.atc.command import atc_command
from convert.atc.run import run_atc
from convert.atc.script import BUILDING, atc_script, building_folder
from convert.graph.walk import default_opset
from convert.lint.check import lint
from convert.lint.graph_rules.gears import Gears
from convert.lint.report import first_causes
from convert.passes.host_nms import with_candidate_count
from convert.plan import Plan
from convert.precision.files import keep_text, mixlist_text, read_keep, read_mixlist
from convert.precision.modes import mix_types, parsed_keep
from convert.product_graphs import Frozen, frozen_graph, lowered_graph, stand_in_graph
from detector.errors import ArtifactError, SpecError
from detector.files.atomic import make_folder, remove_unfinished, to_disk, write_text
from detector.files.digest import sha256_of
from detector.files.lock import exclusive
from detector.files.write_error import write_error
from detector.onnx_files.read_write import embed_spec, write_onnx
from detector.products import om_file
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
    frozen = frozen_graph(plan)
    problem = frozen.problem
    if plan.spec.atc.nms == "host":
        plan = dataclasses.replace(plan, spec=with_candidate_count(plan.spec, frozen.model.graph))
    _keep_om(plan)
    lowered = None if problem else lowered_graph(plan, frozen)
    if lowered is not None:
        plan = _with_parsed_types(plan, lowered)
        problem = _lint_problem(plan, lowered)
    if problem is not None and not plan.may_stand_alone:
        raise SpecError(
            f"{plan.onnx_file} cannot be lowered for atc: {problem}; --target cpu makes the stand-in for onnxruntime "
            "alone"
        )
    embed_spec(frozen.model, plan.spec)
    make_folder(plan.output.parent)
    with exclusive(plan.output, doing="converting into"):
        for suffix in (*PRODUCTS, ".om", ".aipp.cfg"):
            remove_unfinished(Path(f"{plan.output}{suffix}"))
        _remove_abandoned(plan.output)
        if lowered is None or problem is not None:
            return _build_alone(plan, frozen, problem)
        embed_spec(lowered, plan.spec)
        return _build_om(plan, lowered) if plan.target == "om" else _build_stand_in(plan, frozen, lowered)


def _with_parsed_types(plan: Plan, lowered: onnx.ModelProto) -> Plan:
    """The plan with the content of files as atc is to read them, where they have names that atc passes over."""
    atc, graph, opset = plan.spec.atc, lowered.graph, default_opset(lowered)
    corrected: dict[str, str] = {}
    if atc.keep_dtype is not None:
        keep = read_keep(Path(atc.keep_dtype))
        parsed = parsed_keep(graph, keep, opset)
        if parsed != keep:
            corrected["keep_dtype"] = keep_text(parsed)
    if atc.modify_mixlist is not None:
        mixlist = Path(atc.modify_mixlist)
        types = mix_types(graph, read_mixlist(mixlist), opset)
        if any(found != (name,) for name, found in types.items()):
            corrected["modify_mixlist"] = mixlist_text(mixlist, types)
    for option, file in (corrected_plan := dataclasses.replace(plan, corrected=corrected)).corrected_files.items():
        given = Path(getattr(atc, option))
        if file.resolve() == given.resolve():
            raise SpecError(
                f"atc.{option}: {given} would be overwritten with what atc is to read; give another --output"
            )
    return corrected_plan


def _lint_problem(plan: Plan, lowered: onnx.ModelProto) -> str | None:
    """The first rules of atc and the card that the lowered graph breaks; None: it keeps all that are known."""
    report = lint(lowered, soc=plan.soc_version, gears=Gears.of(plan.spec.atc))
    return first_causes(report) if report.failures else None


def _build_om(plan: Plan, lowered: onnx.ModelProto) -> Conversion:
    om = Path(f"{plan.output}.om")
    # Nothing is called as the product until the product is whole: a killed atc leaves half a file.
    for stale in (om, Path(f"{om}.sha256"), plan.sidecar):
        stale.unlink(missing_ok=True)
    write_onnx(plan.lowered_file, lowered)
    graph_sha256 = sha256_of(plan.lowered_file)
    if plan.aipp_file:
        write_text(plan.aipp_file, aipp_text(aipp_of(plan.spec)))
    _write_corrected(plan)
    with _folder_aside(plan.output) as aside:
        product = aside / plan.output.name
        made = run_atc(plan.command_into(product), product, log_file=Path(f"{plan.output}.atc.log"))
        to_disk(aside)
        om_file.write_description(plan.sidecar, {**_record(plan, graph_sha256), om_file.KEY: sha256_of(made)})
        _take_name(made, om)
    to_disk(om.parent)
    files = [file for file in (plan.lowered_file, plan.aipp_file, om, plan.sidecar) if file]
    return Conversion(om, "om", tuple(plan.command), tuple(files), plan.spec)


def _write_corrected(plan: Plan) -> None:
    """What atc reads in place of the spec's own files; none is left of an earlier conversion."""
    for option, name in plan.companions.items():
        file = plan.output.with_name(name)
        if option in plan.corrected:
            write_text(file, plan.corrected[option])
        elif file.resolve() != Path(getattr(plan.spec.atc, option)).resolve():
            file.unlink(missing_ok=True)


def _build_stand_in(plan: Plan, frozen: Frozen, lowered: onnx.ModelProto) -> Conversion:
    name = plan.output.name
    remote = atc_command(
        plan.spec,
        Path(f"{name}.atc.onnx"),
        Path(name),
        batch_size=plan.batch_size,
        soc_version=plan.soc_version,
        files=plan.companions,
        insert_op_conf=Path(plan.aipp_file.name) if plan.aipp_file else None,
    )
    # Made aside and moved together: a full disk or an interrupt leaves all files of one conversion or none.
    with _folder_aside(plan.output) as aside:
        write_onnx(aside / f"{name}.atc.onnx", lowered)
        graph_sha256 = sha256_of(aside / f"{name}.atc.onnx")
        om_file.write_description(aside / f"{name}.om.json", {**_record(plan, graph_sha256), **_kept_hash(plan)})
        write_text(aside / f"{name}.atc.sh", atc_script(remote, Path(name), graph_sha256), mode=0o755)
        write_onnx(aside / f"{name}.onnx", stand_in_graph(plan, frozen))
        if plan.aipp_file:
            write_text(aside / plan.aipp_file.name, aipp_text(aipp_of(plan.spec)))
        companions = plan.companions
        for option, file in companions.items():
            if option in plan.corrected:
                write_text(aside / file, plan.corrected[option])
            else:
                shutil.copyfile(str(getattr(plan.spec.atc, option)), aside / file)
        # Killed between two of them, it leaves no model, and no script that would build one of two conversions.
        for suffix in (".onnx", ".atc.sh"):
            Path(f"{plan.output}{suffix}").unlink(missing_ok=True)
        files = []
        rendered = [plan.aipp_file.name] if plan.aipp_file else []
        for suffix in (*(file.removeprefix(name) for file in (*companions.values(), *rendered)), *PRODUCTS):
            target = Path(f"{plan.output}{suffix}")
            _take_name(aside / f"{name}{suffix}", target)
            files.append(target)
    to_disk(plan.output.parent)
    return Conversion(files[-1], "cpu", tuple(remote), tuple(files), plan.spec)


def _build_alone(plan: Plan, frozen: Frozen, problem: str | None) -> Conversion:
    model = Path(f"{plan.output}.onnx")
    # What an earlier conversion left for the NPU host is another model's; the spec beside an OM stays with it.
    for suffix in PRODUCTS[:3]:
        if suffix != ".om.json" or not Path(f"{plan.output}.om").exists():
            Path(f"{plan.output}{suffix}").unlink(missing_ok=True)
    write_onnx(model, stand_in_graph(plan, frozen))
    return Conversion(model, "cpu", (), (model,), plan.spec, problem)


def _remove_abandoned(output: Path) -> None:
    """Remove the folders in which killed conversions, or killed scripts, were building the same product."""
    prefix = building_folder(output, 0).name.removesuffix("0")
    for folder in output.parent.glob(f".*{BUILDING}*"):
        if folder.name.startswith(prefix) and folder.name.removeprefix(prefix).isdecimal():
            shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def _folder_aside(output: Path) -> Iterator[Path]:
    """A folder beside the product for this process alone, gone afterwards."""
    folder = building_folder(output, os.getpid())
    try:
        folder.mkdir()
    except OSError as error:
        raise write_error(folder, error) from error
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _take_name(file: Path, target: Path) -> None:
    try:
        os.replace(file, target)
    except OSError as error:
        raise write_error(target, error) from error


def _record(plan: Plan, graph_sha256: str) -> dict[str, Any]:
    """What stands beside an OM, which cannot carry its spec itself."""
    return {
        "spec": plan.spec.model_dump(mode="json"),
        "batch_size": plan.batch_size,
        "assumed": list(plan.assumed),
        "source": {"file": plan.onnx_file.name, "sha256": sha256_of(plan.onnx_file)},
        "files": {option: _file_record(plan, option) for option in plan.companions},
        om_file.GRAPH_KEY: graph_sha256,
    }


def _file_record(plan: Plan, option: str) -> dict[str, Any]:
    """A file that an option names: as it was given, and what atc reads where its names of types were corrected."""
    given = Path(getattr(plan.spec.atc, option))
    text = plan.corrected.get(option)
    corrected = None if text is None else hashlib.sha256(text.encode()).hexdigest()
    return {"file": str(given), "sha256": sha256_of(given), "corrected_sha256": corrected}


def _kept_hash(plan: Plan) -> dict[str, Any]:
    """What is noted of the OM that lies there already; its description is written anew."""
    om = Path(f"{plan.output}.om")
    noted = om_file.noted_sha256(om) if om.exists() else None
    return {} if noted is None else {om_file.KEY: noted}


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
