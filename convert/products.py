"""The files of a product: an OM, or its stand-in with what the NPU host needs, or the stand-in alone."""

import hashlib
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import onnx

from convert.aipp.config import aipp_of, aipp_text
from convert.atc.command import atc_command
from convert.atc.run import run_atc
from convert.atc.script import atc_script
from convert.building import folder_aside, take_name
from convert.conversion_plan import Plan
from convert.product_graphs import Frozen, stand_in_graph
from detector.files.atomic import to_disk, write_text
from detector.files.digest import sha256_of
from detector.onnx_files.read_write import write_onnx
from detector.products import om_file
from detector.spec import DetectorSpec

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


def build_om(plan: Plan, lowered: onnx.ModelProto) -> Conversion:
    """Have atc build the OM from the lowered graph.

    Raises:
        ToolError: atc failed.
        ArtifactError: a file cannot be read or written.
    """
    om = Path(f"{plan.output}.om")
    # Nothing is called as the product until the product is whole: a killed atc leaves half a file.
    for stale in (om, Path(f"{om}.sha256"), plan.sidecar):
        stale.unlink(missing_ok=True)
    write_onnx(plan.lowered_file, lowered)
    graph_sha256 = sha256_of(plan.lowered_file)
    if plan.aipp_file:
        write_text(plan.aipp_file, aipp_text(aipp_of(plan.spec)))
    _write_corrected(plan)
    with folder_aside(plan.output) as aside:
        product = aside / plan.output.name
        made = run_atc(plan.command_into(product), product, log_file=Path(f"{plan.output}.atc.log"))
        to_disk(aside)
        om_file.write_description(plan.sidecar, {**_record(plan, graph_sha256), om_file.KEY: sha256_of(made)})
        take_name(made, om)
    to_disk(om.parent)
    files = [file for file in (plan.lowered_file, plan.aipp_file, om, plan.sidecar) if file]
    return Conversion(om, "om", tuple(plan.command), tuple(files), plan.spec)


def build_stand_in(plan: Plan, frozen: Frozen, lowered: onnx.ModelProto) -> Conversion:
    """Write the stand-in and what builds the OM on the NPU host.

    Raises:
        ArtifactError: a file cannot be read or written.
    """
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
    with folder_aside(plan.output) as aside:
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
            take_name(aside / f"{name}{suffix}", target)
            files.append(target)
    to_disk(plan.output.parent)
    return Conversion(files[-1], "cpu", tuple(remote), tuple(files), plan.spec)


def build_alone(plan: Plan, frozen: Frozen, problem: str | None) -> Conversion:
    """Write the stand-in of a graph that atc cannot take.

    Raises:
        ArtifactError: a file cannot be written.
    """
    model = Path(f"{plan.output}.onnx")
    # What an earlier conversion left for the NPU host is another model's; the spec beside an OM stays with it.
    for suffix in PRODUCTS[:3]:
        if suffix != ".om.json" or not Path(f"{plan.output}.om").exists():
            Path(f"{plan.output}{suffix}").unlink(missing_ok=True)
    write_onnx(model, stand_in_graph(plan, frozen))
    return Conversion(model, "cpu", (), (model,), plan.spec, problem)


def _write_corrected(plan: Plan) -> None:
    """What atc reads in place of the spec's own files; none is left of an earlier conversion."""
    for option, name in plan.companions.items():
        file = plan.output.with_name(name)
        if option in plan.corrected:
            write_text(file, plan.corrected[option])
        elif file.resolve() != Path(getattr(plan.spec.atc, option)).resolve():
            file.unlink(missing_ok=True)


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
