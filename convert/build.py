"""One conversion from file to files."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from convert.atc import ATC_HINT, atc_command, atc_script, run_atc
from convert.freeze import freeze
from convert.lower import lower
from convert.precise_norm import with_precise_norms
from detector import tools
from detector.artifacts import make_folder, sha256_of, write_json, write_text
from detector.errors import MissingEnvironmentError, SpecError
from detector.geometry import Size
from detector.onnx_file import embed_spec, read_onnx, write_onnx
from detector.spec import DetectorSpec, read_spec_onnx, replace

Target = Literal["auto", "om", "cpu"]


@dataclass(frozen=True, slots=True)
class Conversion:
    """What a conversion made.

    Attributes:
        model: what `infer` runs: the OM, or its stand-in.
        target: "om" or "cpu".
        command: the atc command, run here or to be run on the NPU host.
        files: everything written.
        spec: as the product carries it.
    """

    model: Path
    target: Literal["om", "cpu"]
    command: tuple[str, ...]
    files: tuple[Path, ...]
    spec: DetectorSpec


@dataclass(frozen=True, slots=True)
class Plan:
    """What a conversion is going to do; nothing is written yet."""

    onnx_file: Path
    output: Path
    spec: DetectorSpec
    batch_size: int
    soc_version: str
    target: Literal["om", "cpu"]

    @property
    def lowered_file(self) -> Path:
        """The graph atc reads."""
        return Path(f"{self.output}.atc.onnx")

    @property
    def command(self) -> list[str]:
        """The atc command on this machine."""
        return atc_command(
            self.spec, self.lowered_file, self.output, batch_size=self.batch_size, soc_version=self.soc_version
        )


def plan_conversion(
    onnx_file: Path,
    *,
    batch_size: int,
    canvas: Size | None = None,
    target: Target = "auto",
    soc_version: str | None = None,
    output: Path | None = None,
) -> Plan:
    """Decide what a conversion does.

    Args:
        onnx_file: canonical ONNX of `python -m export`.
        batch_size: images per run.
        canvas: height and width; None takes the spec's.
        target: "auto" builds the OM where atc is on PATH and the CPU stand-in elsewhere.
        soc_version: chip; None takes the spec's. `310P3` is accepted for `Ascend310P3`.
        output: product without suffix; None: `om_models/<model>_bs<batch_size>`.

    Raises:
        ArtifactError: the file is missing, damaged or carries no spec.
        SpecError: a value is not legal.
        MissingEnvironmentError: an OM was asked for and atc is not on PATH.
    """
    spec = read_spec_onnx(onnx_file)
    if batch_size < 1:
        raise SpecError(f"batch_size must be at least 1, got {batch_size}")
    if canvas is not None:
        spec = spec.with_canvas(canvas)
    if soc_version is not None:
        name = soc_version if soc_version.startswith("Ascend") else f"Ascend{soc_version}"
        spec = replace(spec, atc={**spec.atc.model_dump(), "soc_version": name})
    has_atc = tools.which("atc") is not None
    if target == "om" and not has_atc:
        raise MissingEnvironmentError(f"atc not found on PATH: {ATC_HINT}, or use --target cpu")
    return Plan(
        onnx_file=onnx_file,
        output=output or Path("om_models") / f"{spec.name}_bs{batch_size}",
        spec=spec,
        batch_size=batch_size,
        soc_version=spec.atc.soc_version,
        target="om" if has_atc and target != "cpu" else "cpu",
    )


def convert(plan: Plan) -> Conversion:
    """Carry a plan out; the model itself is written last.

    Raises:
        SpecError: the graph cannot be made static or lowered.
        ToolError: atc failed.
        ArtifactError: a file cannot be read or written.
    """
    canonical = read_onnx(plan.onnx_file)
    frozen = freeze(canonical, batch_size=plan.batch_size, canvas=plan.spec.canvas)
    embed_spec(frozen, plan.spec)
    lowered = lower(frozen)
    make_folder(plan.output.parent)
    sidecar = Path(f"{plan.output}.om.json")
    record = {
        "spec": plan.spec.model_dump(mode="json"),
        "batch_size": plan.batch_size,
        "source": {"file": plan.onnx_file.name, "sha256": sha256_of(plan.onnx_file)},
    }
    write_onnx(plan.lowered_file, lowered)
    if plan.target == "om":
        om = run_atc(plan.command, plan.output)
        write_json(sidecar, record)
        return Conversion(om, "om", tuple(plan.command), (plan.lowered_file, sidecar, om), plan.spec)
    name = Path(plan.output.name)
    remote = atc_command(
        plan.spec,
        Path(plan.lowered_file.name),
        name,
        batch_size=plan.batch_size,
        soc_version=plan.soc_version,
    )
    write_json(sidecar, record)
    script = Path(f"{plan.output}.atc.sh")
    write_text(script, atc_script(remote, name), mode=0o755)
    standin = Path(f"{plan.output}.onnx")
    write_onnx(standin, with_precise_norms(frozen))
    return Conversion(standin, "cpu", tuple(remote), (plan.lowered_file, sidecar, script, standin), plan.spec)
