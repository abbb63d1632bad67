"""`python -m convert lint`: options, table, exit code."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path

from detector import cli
from detector.card.sheet import DEFAULT_CANN, RELEASES

EPILOG = """examples:
  python -m convert lint om_models/demo_bs8.atc.onnx
  python -m convert lint theirs.onnx --soc Ascend310P3 --cann 6.0.1 --json
"""


def parser() -> cli.Parser:
    """The command's options."""
    options = cli.Parser(
        prog="python -m convert lint",
        description="Check an ONNX for atc and the Ascend 310P, without CANN. Exit 1 if something fails.",
        epilog=EPILOG,
    )
    options.add_argument("onnx", type=Path, help="the graph that atc would read, such as NAME.atc.onnx")
    options.add_argument("--soc", default="Ascend310P3", help="chip (Ascend310P3)")
    add_cann(options)
    options.add_argument("--dynamic_batch_size", default="", metavar="1,2,4", help="gears (those in the file)")
    options.add_argument("--dynamic_image_size", default="", metavar="H,W;H,W")
    options.add_argument("--dynamic_dims", default="", metavar="D,D;D,D")
    options.add_argument("--json", action="store_true", help="one JSON object and nothing else")
    return options


def add_cann(options: cli.Parser) -> None:
    """Add `--cann`, the release of atc that is asked about."""
    told = f"release of atc ({DEFAULT_CANN})"
    options.add_argument("--cann", choices=tuple(RELEASES), default=DEFAULT_CANN, help=told)


def lint_command(argv: Sequence[str], say: Callable[[str], None]) -> int:
    """Parse, lint, print.

    Args:
        argv: after the word `lint`.
        say: writes a line to standard output.

    Returns:
        The exit code: 1 if something fails.
    """
    args = parser().parse_args(argv)
    from convert.graph.isolated import naming
    from convert.lint.check import lint
    from convert.lint.graph_rules.gears import GearOptions, open_dims
    from convert.lint.report import report_lines
    from convert.sound.graph import read_sound
    from detector.spec_files import find_spec_onnx

    model = read_sound(args.onnx)
    gears = GearOptions(args.dynamic_batch_size, args.dynamic_image_size, args.dynamic_dims)
    if open_dims(model.graph) and not gears.given:
        spec = find_spec_onnx(args.onnx)
        gears = GearOptions.of(spec.atc) if spec else gears
    with naming(args.onnx):
        report = lint(model, soc=args.soc, cann=args.cann, gears=gears)
    document = {"model": str(args.onnx), **report.document()}
    if args.json:
        say(json.dumps(document))
    else:
        for line in report_lines(report):
            say(line)
        short = ("model", "verdict", "soc", "cann", "opset", "nodes", "memory_bytes")
        say(json.dumps({key: document[key] for key in short}))
    return 1 if report.failures else 0
