"""`python -m convert`: canonical ONNX -> OM, or the CPU stand-in with everything the NPU host needs."""

import argparse
import json
import logging
import shlex
from collections.abc import Sequence
from pathlib import Path

from convert.arguments import add_source, batch_sizes, canvas, setting
from detector import cli

EPILOG = """examples:
  python -m convert --onnx work/demo/demo.onnx --batch_size 8
  python -m convert --onnx their_detector.onnx --spec my_model.yaml --batch_size 8     (someone else exported it)
  python -m convert lint om_models/demo_bs8.atc.onnx                                   (will atc take it?)
  python -m convert check 'atc --framework=5 --model=m.onnx ...'                       (is a line of your own legal?)
  python -m convert plan --onnx work/demo/demo.onnx --batch_size 1,4,8                 (what will it cost?)
  python -m convert explain E10016                                                     (or atc's log)
  python -m convert simulate --help      (what the card's float16 does to the AP, forecast on the CPU)
  python -m convert bisect --help        (which operators must keep float32: writes atc's --keep_dtype file)
"""


def parser() -> cli.Parser:
    """The command's options."""
    options = cli.Parser(prog="python -m convert", description=__doc__, epilog=EPILOG)
    add_source(options)
    options.add_argument(
        "--batch_size",
        type=batch_sizes,
        metavar="N[,N...]",
        help="images per run, frozen into the model; several, such as 1,4,8: gears of one OM; default: "
        "atc.batch_sizes of the spec",
    )
    options.add_argument("--canvas", type=canvas, metavar="H,W", help="height and width; default: the spec's")
    options.add_argument(
        "--target", choices=["auto", "om", "cpu"], default="auto", help="auto: om where atc is on PATH, else cpu"
    )
    options.add_argument("--soc_version", help="chip, such as Ascend310P3; default: the spec's")
    options.add_argument(
        "--atc",
        action="append",
        type=setting,
        default=[],
        metavar="KEY=VALUE",
        help="a key of the spec's `atc`, such as log=info, see docs/atc_options.md",
    )
    options.add_argument(
        "--dtype",
        choices=("float32", "uint8"),
        help="bins that the product takes: uint8 (of `preprocess --dtype uint8`) is normalized by AIPP on the card; "
        "default: the spec's",
    )
    options.add_argument("--output", type=Path, help="without suffix; default: om_models/<model>_bs<batch_size>")
    options.add_argument("--dry_run", action="store_true", help="print the atc command and write nothing")
    return options


def main(argv: Sequence[str]) -> int:
    """Parse, plan, convert, report; or another command."""
    if argv[:1] == ["lint"]:
        from convert.lint.command import lint_command

        return lint_command(argv[1:], print)
    if argv[:1] == ["check"]:
        from convert.check.command import check_command

        return check_command(argv[1:], print)
    if argv[:1] in (["simulate"], ["bisect"]):
        from convert.precision.command import precision_command

        return precision_command(argv, print)
    if argv[:1] == ["explain"]:
        from convert.atc.explain import explain_command

        return explain_command(argv[1:], print)
    if argv[:1] == ["plan"]:
        from convert.cost.command import cost_command

        return cost_command(argv[1:], print)
    return _convert(parser().parse_args(argv))


def _convert(args: argparse.Namespace) -> int:
    # onnx and numpy cost half a second that --help need not pay.
    from convert.build import convert
    from convert.conversion_plan import plan_conversion
    from detector.geometry import Size
    from detector.spec.settings import Settings
    from detector.spec_files import load_spec

    plan = plan_conversion(
        args.onnx,
        batch_size=args.batch_size,
        spec=load_spec(args.spec or args.model) if args.spec or args.model else None,
        canvas=Size(*args.canvas) if args.canvas else None,
        target=args.target,
        soc_version=args.soc_version,
        output=args.output,
        dtype=args.dtype,
        options=Settings({}).override(args.atc, option="--atc", part="atc").document.get("atc"),
    )
    for each in plan.assumed:
        logging.getLogger("convert").warning(
            "assumed: %s, as nothing says which chip the OM is for; `npu-smi info` names the card's: give it as "
            "--soc_version (make: SOC=)",
            each,
        )
    if args.dry_run:
        print(shlex.join(plan.command))
        print(json.dumps({"target": plan.target, "output": str(plan.output), "command": plan.command}))
        return 0
    result = convert(plan)
    if result.obstacle is not None:
        logging.getLogger("convert").warning(
            "%s stands alone: there are no files for atc, %s", result.model, result.obstacle
        )
    elif result.target == "cpu":
        logging.getLogger("convert").info(
            "atc is not used here: %s stands in for the OM on onnxruntime; to build the OM copy %s to the NPU host and"
            " run the script",
            result.model,
            ", ".join(str(file) for file in result.files if file != result.model),
        )
    for file in result.files:
        print(f"{file}  {file.stat().st_size} bytes")
    print(json.dumps({"model": str(result.model), "target": result.target, "command": result.command}))
    return 0


if __name__ == "__main__":
    cli.run(main)
