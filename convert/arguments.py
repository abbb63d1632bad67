"""Options that more than one command of `python -m convert` has, and how their values are read."""

import argparse
from pathlib import Path

from detector import cli


def canvas(text: str) -> tuple[int, int]:
    """Parse `H,W`."""
    try:
        height, width = (cli.positive(part) for part in text.split(","))
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"expected height,width in pixels, such as 800,1344, got {text!r}") from error
    return height, width


def batch_sizes(text: str) -> int | tuple[int, ...]:
    """Parse `N` or `N,N,N`."""
    try:
        sizes = tuple(cli.positive(part) for part in text.split(","))
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"expected images per run, such as 8 or 1,4,8, got {text!r}") from error
    from convert.chosen_spec import MAX_BATCH_SIZE

    if max(sizes) > MAX_BATCH_SIZE:
        raise argparse.ArgumentTypeError(f"expected at most {MAX_BATCH_SIZE} images per run, got {max(sizes)}")
    return sizes if len(sizes) > 1 else sizes[0]


def setting(text: str) -> str:
    """Check that it is `KEY=VALUE`."""
    key, equals, _ = text.partition("=")
    if not key or not equals:
        raise argparse.ArgumentTypeError(f"expected KEY=VALUE, such as log=info, got {text!r}")
    return text


def add_source(options: cli.Parser) -> None:
    """Add `--onnx`, and `--model` or `--spec`: what is converted, and what it is."""
    options.add_argument(
        "--onnx", type=Path, required=True, help="ONNX of `python -m export`, or a detector that someone else exported"
    )
    source = options.add_mutually_exclusive_group()
    source.add_argument(
        "--model", type=cli.given, help="name in atc_configs/ of what someone else exported; default: the ONNX says it"
    )
    source.add_argument("--spec", type=Path, help="YAML file of a model of your own that someone else exported")
