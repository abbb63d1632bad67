"""One conversion from file to files."""

import dataclasses
from pathlib import Path

import onnx

from convert.building import remove_abandoned
from convert.conversion_plan import Plan
from convert.graph.walk import default_opset
from convert.lint.check import lint
from convert.lint.graph_rules.gears import GearOptions
from convert.lint.report import first_causes
from convert.passes.host_nms import with_candidate_count
from convert.precision.files import keep_text, mixlist_text, read_keep, read_mixlist
from convert.precision.modes import mix_types, parsed_keep
from convert.product_graphs import frozen_graph, lowered_graph
from convert.products import PRODUCTS, Conversion, build_alone, build_om, build_stand_in
from detector.errors import ArtifactError, SpecError
from detector.files.atomic import make_folder, remove_unfinished
from detector.files.lock import exclusive
from detector.onnx_files.read_write import embed_spec
from detector.spec_files import read_spec_json


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
        remove_abandoned(plan.output)
        if lowered is None or problem is not None:
            return build_alone(plan, frozen, problem)
        embed_spec(lowered, plan.spec)
        return build_om(plan, lowered) if plan.target == "om" else build_stand_in(plan, frozen, lowered)


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
    report = lint(lowered, soc=plan.soc_version, gears=GearOptions.of(plan.spec.atc))
    return first_causes(report) if report.failures else None


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
