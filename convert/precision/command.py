"""`python -m convert simulate` and `python -m convert bisect`: options, calls, what is printed."""

import argparse
import json
import logging
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from convert.arguments import add_source, canvas
from detector import cli
from detector.card.sheet import PRECISION_MODES
from detector.errors import SpecError

if TYPE_CHECKING:
    from convert.conversion_plan import Plan
    from convert.precision.modes import Rules

ROOT = Path(__file__).resolve().parents[2]
SIMULATE_EPILOG = """example:
  python -m convert simulate --onnx work/demo/demo.onnx --batch_size 8 --output work/demo/forecast_bs8
  python -m infer --model work/demo/forecast_bs8.onnx --input work/demo/bins --output work/demo/results \\
      --output_dirname forecast
  python -m postprocess eval --bin_data_path work/demo/results/forecast --test_annotation work/demo/bins \\
      --annotations_path work/demo/coco/annotations --det_results_path work/demo/forecast

What it writes runs wherever the CPU stand-in runs. It is a prediction, see the README: where operators may compute in
float16 inside (Exp, RealDiv; atc.op_precision_mode decides), the ends of the range lie beside it: .low.onnx and
.high.onnx.
"""

BISECT_EPILOG = """example:
  python -m convert bisect --onnx work/demo/demo.onnx --bins work/demo/bins --accept 0.5 --output work/demo/keep.txt

A loss is counted in points of 100 against the float32 graph: of box AP where annotations are given, else of agreement
(score-weighted, a moved box counts by COCO's IoU thresholds), at the worse end of what Exp and Div may do inside. The
file goes to atc with --keep_dtype.
"""


def batch_size(text: str) -> int:
    """Parse images per run, as an argparse type."""
    from convert.chosen_spec import MAX_BATCH_SIZE

    size = cli.positive(text)
    if size > MAX_BATCH_SIZE:
        raise argparse.ArgumentTypeError(f"expected at most {MAX_BATCH_SIZE} images per run, got {size}")
    return size


def precision_command(argv: Sequence[str], say: Callable[[str], None]) -> int:
    """Run the command that the first argument names.

    Args:
        argv: `simulate` or `bisect`, and its options.
        say: writes one line of result.
    """
    name, *rest = argv
    if name == "bisect":
        _become_bisect(rest)
    _simulate(rest, say)
    return 0


def _options(name: str, description: str, epilog: str) -> cli.Parser:
    options = cli.Parser(prog=f"python -m convert {name}", description=description, epilog=epilog)
    add_source(options)
    options.add_argument("--canvas", type=canvas, metavar="H,W", help="height and width; default: the spec's")
    options.add_argument(
        "--atc", action="append", default=[], metavar="KEY=VALUE", help="a key of the spec's `atc`, such as nms=refine"
    )
    options.add_argument(
        "--dtype", choices=("float32", "uint8"), help="bins that the product takes; default: the spec's"
    )
    options.add_argument(
        "--precision_mode", choices=tuple(PRECISION_MODES), metavar="MODE",
        help=f"atc's: {', '.join(PRECISION_MODES)}; default: the spec's, else force_fp16",
    )  # fmt: skip
    options.add_argument(
        "--keep_dtype", type=Path, metavar="FILE", help="a node name or OpType::<Ascend type> per line"
    )
    options.add_argument("--modify_mixlist", type=Path, metavar="JSON", help="black and white list of the mixed modes")
    return options


def _simulate(argv: Sequence[str], say: Callable[[str], None]) -> None:
    options = _options("simulate", "Write an ONNX that computes on the CPU what the card would.", SIMULATE_EPILOG)
    options.add_argument("--batch_size", type=batch_size, help="images per run; not with atc.dims, which says it")
    options.add_argument("--output", type=Path, help="without suffix; default: om_models/<model>_bs<N>_<mode>")
    args = options.parse_args(argv)
    from convert.precision.inside import Inside
    from convert.precision.simulate import CAVEAT, RANGE_CAVEAT, precision_name, simulate

    plan, rules = plan_with_rules(args)
    if args.output is None:
        plan = replace(plan, output=plan.output.with_name(f"{plan.output.name}_{rules.mode}"))
    done = simulate(plan, rules)
    nearest, *ends = done.models.values()
    logging.getLogger("convert").info("%s is %s", nearest, CAVEAT)
    if ends:
        types = ", ".join(f"{type_} ({count})" for type_, count in done.inside.items())
        logging.getLogger("convert").info("%s %s", types, RANGE_CAVEAT)
    for model in done.models.values():
        say(f"{model}  {model.stat().st_size} bytes")
    say(json.dumps({
        "model": str(nearest), "precision": precision_name(rules), "float16_inside": done.inside,
        "range": [str(done.models[end]) for end in (Inside.LOW, Inside.HIGH)] if ends else None,
    }))  # fmt: skip


def bisect_options() -> cli.Parser:
    """The options of `bisect`."""
    options = _options("bisect", "Find the operators that must keep float32, and write atc's --keep_dtype file.",
                       BISECT_EPILOG)  # fmt: skip
    images = options.add_mutually_exclusive_group(required=True)
    images.add_argument("--bins", type=Path, help="folder of `python -m preprocess`")
    images.add_argument("--image_src_path", type=Path, metavar="IMAGES", help="image folder")
    options.add_argument("--annotations_path", type=Path, metavar="DIR_OR_JSON", help="count in AP, not in agreement")
    options.add_argument(
        "--images", type=cli.positive, default=8, metavar="N", help="images to look at (default %(default)s)"
    )
    options.add_argument("--accept", type=cli.not_negative, help="loss in points (default 0.1 of AP, 1 of agreement)")
    options.add_argument(
        "--runs",
        type=cli.positive,
        default=200,
        help="sets of nodes to try at most, but always the first two (default %(default)s)",
    )
    options.add_argument("--batch_size", type=batch_size, default=1, help="images per run (default %(default)s)")
    options.add_argument("--output", type=Path, help="file to write; default: om_models/<model>.keep_dtype.txt")
    return options


def _become_bisect(argv: Sequence[str]) -> NoReturn:
    """Hand over to `pipeline.bisect`: its trials start other stages. Help and usage errors are answered here."""
    bisect_options().parse_args(argv)
    path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    line = [sys.executable, "-P", "-m", "pipeline", "bisect", *argv]
    sys.stdout.flush()
    os.execve(sys.executable, line, {**os.environ, "PYTHONPATH": path})


def plan_with_rules(args: argparse.Namespace, *, with_gears: bool = True) -> "tuple[Plan, Rules]":
    """What the options of either command ask for.

    Args:
        args: of its parser.
        with_gears: False: at the one canvas and batch size that is asked for.
    """
    from convert.conversion_plan import NO_GEARS, plan_conversion
    from convert.precision.files import read_keep, read_mixlist, read_operator_modes
    from convert.precision.inside import OperatorModes
    from convert.precision.modes import Keep, Rules
    from detector.geometry import Size
    from detector.spec.settings import Settings
    from detector.spec_files import load_spec

    options = Settings({}).override(args.atc, option="--atc", part="atc").document.get("atc", {})
    # A file of the command line takes the place of the one that the spec names.
    given = {name: None for name in ("keep_dtype", "modify_mixlist") if getattr(args, name) is not None}
    plan = plan_conversion(
        args.onnx,
        batch_size=args.batch_size,
        spec=load_spec(args.spec or args.model) if args.spec or args.model else None,
        canvas=Size(*args.canvas) if args.canvas else None,
        target="cpu",
        output=args.output,
        dtype=args.dtype,
        options={**options, **given, **({} if with_gears else NO_GEARS)},
    )
    atc = plan.spec.atc
    if atc.customize_dtypes:
        logging.getLogger("convert").warning("customize_dtypes of the spec is not simulated")
    mode = args.precision_mode or atc.precision_mode or atc.precision_mode_v2 or "force_fp16"
    if args.modify_mixlist and PRECISION_MODES[mode] != "allow_mix_precision":
        raise SpecError(f"--modify_mixlist needs --precision_mode allow_mix_precision or mixed_float16, got {mode}")
    keep, mixlist = args.keep_dtype or atc.keep_dtype, args.modify_mixlist or atc.modify_mixlist
    rules = Rules(
        mode=mode,
        keep=read_keep(Path(keep)) if keep else Keep(),
        mix=read_mixlist(Path(mixlist)) if mixlist else {},
        operator_modes=(read_operator_modes(Path(atc.op_precision_mode)) if atc.op_precision_mode else OperatorModes()),
    )
    return plan, rules
