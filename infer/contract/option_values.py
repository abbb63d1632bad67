"""Legal values of single options, as ais_bench checks them while parsing (a violation is a usage error, exit 2)."""

import argparse
import os
import re
from collections.abc import Callable
from pathlib import Path

from detector.cli import given

# Sources of all limits: docs/facts/ais_bench.md, section 1 (ais_bench/infer/args_check.py).
INT_MAX = 2**31 - 1
DEVICE_MAX = 255
DEVICE_COUNT_MAX = 256
INPUT_COUNT_MAX = 1024
SIZES_LENGTH_MAX = 50_000
TRUE_WORDS = ("yes", "true", "t", "y", "1")
FALSE_WORDS = ("no", "false", "f", "n", "0")
MODEL_SUFFIXES = (".om", ".onnx")


def boolean(text: str) -> bool:
    """A switch's value; ais_bench has no bare flags."""
    if text.lower() in TRUE_WORDS:
        return True
    if text.lower() in FALSE_WORDS:
        return False
    raise argparse.ArgumentTypeError(f"Boolean value expected true, 1, false, 0 with case insensitive, got {text!r}.")


def integer(low: int, high: int = INT_MAX) -> Callable[[str], int]:
    """A parser of decimal integers in low..high (digits only: no sign, no blanks)."""

    def parse(text: str) -> int:
        if not re.fullmatch(r"[0-9]+", text):
            raise argparse.ArgumentTypeError(f"{text} contains special characters other than numbers.")
        if not low <= int(text) <= high:
            raise argparse.ArgumentTypeError(f"{text} is out of range, legal values are {low} to {high}")
        return int(text)

    return parse


def devices(text: str) -> tuple[int, ...]:
    """One device id, or several separated by commas."""
    entries = text.split(",")
    if len(entries) > DEVICE_COUNT_MAX:
        raise argparse.ArgumentTypeError(f"{len(entries)} device ids, at most {DEVICE_COUNT_MAX} are permitted")
    return tuple(integer(0, DEVICE_MAX)(entry) for entry in entries)


def dynamic_string(text: str) -> str:
    """The characters of --dymHW, --dymDims and --dymShape; their grammar depends on the model."""
    if re.search(r"[^_A-Za-z0-9,;:/.-]", text):
        raise argparse.ArgumentTypeError(f'dym string "{text}" is not a legal string')
    return text


def byte_sizes(text: str) -> str:
    """The characters of --outputSize."""
    if re.search(r"[^0-9,]", text):
        raise argparse.ArgumentTypeError(f"number list contains an illegal character: {text[:80]!r}")
    if len(text) > SIZES_LENGTH_MAX:
        raise argparse.ArgumentTypeError(f"number list is over max length: {SIZES_LENGTH_MAX}")
    return text


def model_file(text: str) -> str:
    """An existing .om or .onnx file."""
    given(text)
    if os.path.splitext(text)[1] not in MODEL_SUFFIXES:
        raise argparse.ArgumentTypeError(f"{text}: expected a file ending in .om (Ascend card) or .onnx (CPU)")
    if not Path(text).is_file():
        found = "is no regular file: remove it, and" if os.path.lexists(text) else "not found;"
        raise argparse.ArgumentTypeError(f"{text} {found} build it with `python -m convert` (make om)")
    return text


def input_paths(text: str) -> str:
    """Existing files or folders, separated by commas; kept as given, because the summary repeats them."""
    entries = text.split(",") if text else []
    if len(entries) > INPUT_COUNT_MAX:
        raise argparse.ArgumentTypeError(f"{len(entries)} inputs, at most {INPUT_COUNT_MAX} are permitted")
    for entry in entries:
        # An empty entry (a trailing comma) is counted and refused later, when the model is known.
        if not Path(entry).exists():
            found = "is a link that leads nowhere; remove it and" if os.path.lexists(entry) else "not found;"
            raise argparse.ArgumentTypeError(f"input path:{entry} {found} run `python -m preprocess` (make preprocess)")
    return text


def output_path(text: str) -> str:
    """A folder, existing or not."""
    given(text)
    if Path(text).exists() and not Path(text).is_dir():
        raise argparse.ArgumentTypeError(f"output path is not a directory: {text}")
    return text
