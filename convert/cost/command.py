"""`python -m convert plan`: options, table, JSON."""

import argparse
import dataclasses
import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from convert.arguments import batch_sizes, canvas
from detector import cli
from detector.errors import ArtifactError
from detector.files.bounds import DATA_BYTES
from detector.files.json_text import read_json

if TYPE_CHECKING:
    import onnx

    from convert.cost.forecast import Figure, Speed
    from convert.cost.macs import Work
    from detector.spec import DetectorSpec

EPILOG = """examples:
  python -m convert plan --onnx work/demo/demo.onnx --batch_size 1,8
  python -m convert plan --model fcos_r50_caffe_fpn_1x --images 5000        (nothing is exported yet)

Every figure is measured (with --measured, a short run here), computed (from the graph and the spec) or from source
(published). The last line of stdout is one JSON object.
"""
BATCHES = (1, 4, 8, 16, 32, 64)


def parser() -> cli.Parser:
    """The command's options."""
    options = cli.Parser(
        prog="python -m convert plan", description="What a deployment will cost, before anything runs.", epilog=EPILOG
    )
    source = options.add_mutually_exclusive_group(required=True)
    source.add_argument("--onnx", type=Path, help="canonical ONNX of `python -m export`")
    source.add_argument(
        "--model", type=cli.given, help="name in atc_configs/, or a .yaml; without a graph the published work is taken"
    )
    options.add_argument(
        "--batch_size", type=batch_sizes, default=BATCHES, metavar="N[,N...]", help="default 1,4,...,64"
    )
    options.add_argument("--canvas", type=canvas, metavar="H,W", help="height and width; default: the spec's")
    options.add_argument(
        "--images", type=cli.positive, default=5000, help="of the data set (default %(default)s, val2017)"
    )
    options.add_argument("--soc_version", help="chip; default: the spec's")
    options.add_argument(
        "--measured", type=Path, metavar="SUMMARY", help="<dirname>_summary.json of a short `python -m infer` run here"
    )
    return options


def cost_command(argv: Sequence[str], say: Callable[[str], None]) -> int:
    """Parse, count, print.

    Args:
        argv: after the word `plan`.
        say: writes a line to standard output.
    """
    args = parser().parse_args(argv)
    from convert.cost.forecast import card_figures, card_speeds, machine_figures, size_figures
    from detector.spec import replace
    from detector.spec.atc import normalized_chip

    spec, work, graph = _load(args)
    if args.soc_version:
        spec = replace(spec, atc={**spec.atc.model_dump(), "soc_version": normalized_chip(args.soc_version)})
    chip = spec.atc.soc_version
    sizes = (args.batch_size,) if isinstance(args.batch_size, int) else args.batch_size
    cores = len(os.sched_getaffinity(0))
    seconds = _measured(args.measured) if args.measured else None
    figures = [
        *size_figures(spec, work, images=args.images, counted=graph is not None),
        *card_figures(chip, work),
        *machine_figures(work.macs, images=args.images, cores=cores, measured_seconds=seconds),
    ]
    speeds = card_speeds(work, chip, sizes)
    for line in _table(spec, figures, speeds, chip):
        say(line)
    say(json.dumps(_document(spec, figures, speeds, chip)))
    return 0


def _load(args: argparse.Namespace) -> "tuple[DetectorSpec, Work, onnx.ModelProto | None]":
    """The spec, the work of one image, and the graph it was counted on."""
    from convert.cost.forecast import published_work
    from convert.cost.macs import count_work
    from convert.graph.freeze import freeze
    from convert.graph.isolated import naming
    from convert.sound.graph import read_sound
    from detector.geometry import Size
    from detector.spec_files import load_spec

    spec = load_spec(args.onnx or args.model)
    if args.canvas:
        spec = spec.with_canvas(Size(*args.canvas))
    if args.onnx is None:
        return spec, published_work(spec), None
    with naming(args.onnx):
        graph = freeze(read_sound(args.onnx), batch_size=1, canvas=spec.canvas)
    return spec, count_work(graph), graph


def _measured(summary: Path) -> float:
    """Seconds per image of a run of `python -m infer`, from the throughput in its summary (images per second)."""
    try:
        throughput = float(read_json(summary, DATA_BYTES)["throughput"])
        return 1 / throughput
    except OSError as error:
        raise ArtifactError(
            f"cannot read {summary}: {error.strerror}; run `python -m infer` on a few bins first"
        ) from error
    except (ValueError, KeyError, TypeError, ZeroDivisionError) as error:
        raise ArtifactError(
            f"{summary} is no summary of `python -m infer`: it has no throughput; run it again"
        ) from error


def _table(spec: "DetectorSpec", figures: "Sequence[Figure]", speeds: "Sequence[Speed]", chip: str) -> list[str]:
    lines = [f"{spec.name}, {spec.canvas}"]
    for figure in figures:
        value = "not known" if figure.value is None else _number(figure.value)
        note = f"  {figure.note}" if figure.note else ""
        lines.append(f"{figure.label:<46} {value:>12}  {figure.provenance:<11}{note}")
    lines += [
        "",
        f"images per second of one {chip}, device time (computed from the figures above,",
        "without vector work and launching: too high for small networks; the lower of the first two is the roof)",
        "batch  by arithmetic    by memory   as FCOS's guide   as RetinaNet's guides",
    ]
    for speed in speeds:
        low, high = speed.like_retinanet
        memory = "not known" if speed.memory is None else f"{speed.memory:.1f}"
        guides = f"{speed.like_fcos:>17.1f} {low:>14.1f} to {high:.1f}"
        lines.append(f"{speed.batch_size:>5} {speed.peak:>14.1f} {memory:>12} {guides}")
    return lines


def _number(value: float) -> str:
    """With a unit prefix from 10 000 on."""
    for limit, name in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e4, "k")):
        if value >= limit:
            scale = 1e3 if name == "k" else limit
            return f"{value / scale:.1f} {name}"
    return f"{value:g}"


def _document(
    spec: "DetectorSpec", figures: "Sequence[Figure]", speeds: "Sequence[Speed]", chip: str
) -> dict[str, object]:
    return {
        "model": spec.name,
        "canvas": list(spec.canvas),
        "soc_version": chip,
        "figures": {figure.key: {"value": figure.value, "provenance": figure.provenance} for figure in figures},
        "images_per_second": [dataclasses.asdict(speed) for speed in speeds],
    }
