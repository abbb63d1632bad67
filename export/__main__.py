"""`python -m export`: trained weights -> canonical ONNX."""

import json
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from detector import cli
from detector.files import memory
from detector.files.lock import exclusive

if TYPE_CHECKING:
    from detector.spec.settings import Settings

# The exporter makes 18 and converts down to 16; below, it cannot.
OPSETS = (16, 17, 18)
WEIGHTS_KEY = "key in the checkpoint under which the weights lie, such as ema; default: where they usually are"
# Stands for what a checkpoint tells, where it has not been read.
ANY_SPEC: Mapping[str, Any] = {
    "name": "x",
    "detector": "other",
    "canvas": (32, 32),
    "image": {"channels": "BGR", "mean": (0, 0, 0), "std": (1, 1, 1)},
    "classes": ("x",),
}
# What torch maps and an export of the demo takes (1.6 GB in all): with less they end by a signal, or hardly move.
TORCH_ADDRESSES = 3 * 2**29
EPILOG = """examples:
  python -m export --model demo --weights demo/weights/fcos_r18_shapes.pth --onnx work/demo/demo.onnx --verify
  python -m export --weights my_checkpoint.pth --onnx my_model.onnx     (the spec comes from the file's own config)
  python -m export inspect my_checkpoint.pth                            (what it is, and what an export would ask)
"""


def parser() -> cli.Parser:
    """The command's options."""
    options = cli.Parser(prog="python -m export", description=__doc__, epilog=EPILOG)
    options.add_argument("--weights", type=Path, required=True, help="checkpoint of the training framework")
    options.add_argument("--onnx", type=Path, required=True, help="file to write")
    source = options.add_mutually_exclusive_group()
    source.add_argument(
        "--model", type=cli.given, help="name in atc_configs/; default: the spec is derived from the checkpoint"
    )
    source.add_argument("--spec", type=Path, help="YAML file of your own; what it leaves out comes from the checkpoint")
    options.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="one key of the spec, such as network.style=caffe; once per key, wins over --model and --spec",
    )
    options.add_argument("--weights_key", metavar="KEY", help=WEIGHTS_KEY)
    options.add_argument(
        "--assume",
        choices=("defaults",),
        help="what the file does not tell is the framework's default, the same as --set assume=defaults; recorded",
    )
    options.add_argument(
        "--opset", type=int, choices=OPSETS, default=16, help="default 16, the last that atc's NMS operator takes"
    )
    options.add_argument("--verify", action="store_true", help="compare torch and onnxruntime, refuse above 1e-4")
    options.add_argument("--image", type=Path, help="photograph for --verify; default: a generated picture")
    return options


def inspect_parser() -> cli.Parser:
    """Options of `inspect`."""
    options = cli.Parser(
        prog="python -m export inspect", description="What a weights file is, and what an export would ask."
    )
    options.add_argument("weights", type=Path, help="checkpoint of the training framework")
    options.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="answer a question, as for an export"
    )
    options.add_argument("--weights_key", metavar="KEY", help=WEIGHTS_KEY)
    options.add_argument("--json", action="store_true", help="everything as one JSON object")
    return options


def answers(settings: "Settings") -> Mapping[str, Any]:
    """What `--set` says to `inspect`, if an export would take it.

    Raises:
        SpecError: it would not.
    """
    settings.spec(ANY_SPEC)
    return settings.document


def inspect_main(argv: Sequence[str]) -> None:
    """Parse, inspect, report."""
    args = inspect_parser().parse_args(argv)
    cli.require("torch", extra="export", purpose="export inspect")
    from detector.spec.settings import Settings
    from detector.terminal.text import shown
    from export.inspection import describe, inspect

    said = answers(Settings({}).override(args.set))
    found = inspect(args.weights, said.get("network", {}), args.weights_key, said=said)
    if not args.json:
        print(shown(describe(found), keep="\n"))
        found = {key: found[key] for key in ("file", "sha256", "dialect", "detector", "ambiguous")}
    print(json.dumps(found))


def main(argv: Sequence[str]) -> None:
    """Export, or `inspect` if that is the first word."""
    if argv[:1] == ["inspect"]:
        inspect_main(argv[1:])
    else:
        export_main(argv)


def export_main(argv: Sequence[str]) -> None:
    """Parse, export, report."""
    args = parser().parse_args(argv)
    memory.require(TORCH_ADDRESSES)
    cli.require("torch", extra="export", purpose="export")
    cli.require("onnxscript", extra="export", purpose="export")
    from detector.spec.settings import Settings
    from detector.spec_files import read_settings
    from export.build import export  # torch costs seconds that --help need not pay

    named = args.spec or args.model
    settings = (read_settings(named) if named else Settings({})).override(args.set)
    if args.assume:
        settings = settings.override([f"assume={args.assume}"])
    settings.require_known_keys(ANY_SPEC)
    with exclusive(args.onnx, doing="exporting to"):
        result = export(
            args.weights,
            args.onnx,
            settings=settings,
            opset=args.opset,
            check=args.verify,
            image=args.image,
            weights_key=args.weights_key,
        )
    for field, source in result.weights.sources.items():
        logging.getLogger("export").info(
            "%s = %s (%s)", field, result.spec.network.get(field, len(result.spec.classes)), source
        )
    found = result.verification
    if found is not None:
        print(
            f"torch and onnxruntime agree: probabilities within {found.head:.1e}, boxes within {found.boxes:.1e} of the"
            f" canvas, {found.detections} detections within {found.scores:.1e} in score and {found.edges:.1e} px"
        )
    print(
        json.dumps(
            {
                "onnx": str(result.onnx_file),
                "bytes": result.onnx_file.stat().st_size,
                "model": result.spec.name,
                "checkpoint": result.spec.checkpoint.model_dump() if result.spec.checkpoint else None,
                "verified": found is not None,
            }
        )
    )


if __name__ == "__main__":
    cli.run(main)
