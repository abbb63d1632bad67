"""`python -m benchmarks`: throughput by batch size."""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

from detector import cli

EPILOG = """example:
  python -m benchmarks --onnx work/demo/demo.onnx --input work/demo/bins --output work/demo/bench

Each batch size is converted (`python -m convert`) into the output folder and run with `python -m infer`. The times are
those of its execute calls, after one for warming up. The last line of stdout is one JSON object, also in bench.json.
"""


def parser() -> cli.Parser:
    """The command line."""
    options = cli.Parser(prog="python -m benchmarks", description=__doc__, epilog=EPILOG)
    add = options.add_argument
    add("--onnx", type=Path, required=True, help="canonical ONNX of `python -m export`")
    add("--batch_sizes", type=batch_sizes, default="1,4,8,16,32,64", help="ascending (default %(default)s)")
    add("--output", type=Path, help="folder for the models, the runs and bench.json (default work/bench/<onnx name>)")
    add("--loop", type=cli.positive, default=5, help="executions measured per run (default %(default)s)")
    add("--target", choices=("auto", "om", "cpu"), default="auto", help="auto: om where atc is on PATH, else cpu")
    add("--input", type=folder, metavar="BINS", help="folder of bins to run on; without it zeros, which leave NMS idle")
    return options


def batch_sizes(text: str) -> tuple[int, ...]:
    """Numbers separated by commas, ascending and distinct."""
    sizes = tuple(cli.positive(part) for part in text.split(","))
    if list(sizes) != sorted(set(sizes)):
        raise argparse.ArgumentTypeError(f"expected ascending batch sizes, got {text}")
    return sizes


def folder(text: str) -> Path:
    """An existing folder."""
    if not Path(text).is_dir():
        raise argparse.ArgumentTypeError(f"{text} is no folder; run `python -m preprocess` (make preprocess)")
    return Path(text)


def main(argv: Sequence[str]) -> None:
    """Parse, measure, print."""
    args = parser().parse_args(argv)
    from benchmarks.throughput import measure

    output: Path = args.output or Path("work/bench") / args.onnx.stem
    bench = measure(args.onnx, args.batch_sizes, output, target=args.target, loop=args.loop, bins=args.input)
    print(bench.to_text())
    print(json.dumps(bench.document()))


if __name__ == "__main__":
    cli.run(main)
