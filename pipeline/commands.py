"""The console command `omline`: one word for each `python -m` form; table, options and exit codes are theirs."""

import os
import sys
from collections.abc import Sequence
from importlib.metadata import version
from typing import NoReturn

from detector import cli

# Word: what follows `python -m`, and what it does.
COMMANDS = {
    "export": ("export", "trained weights -> canonical ONNX"),
    "inspect": ("export inspect", "what a weights file is, and what an export would ask"),
    "convert": ("convert", "canonical ONNX -> OM, or its CPU stand-in where atc is not on PATH"),
    "lint": ("convert lint", "will atc take this ONNX file?"),
    "check": ("convert check", "is an atc command line of your own legal?"),
    "plan": ("convert plan", "what a model will cost on the card"),
    "explain": ("convert explain", "an error code, or a log, in plain words"),
    "simulate": ("convert simulate", "what the card's float16 does to the AP, forecast on the CPU"),
    "bisect": ("convert bisect", "which operators must keep float32"),
    "preprocess": ("preprocess", "images -> bins and manifest"),
    "infer": ("infer", "bins -> outputs, on the card or the CPU"),
    "doctor": ("infer doctor", "what this machine can run, what it lacks and what to do about it"),
    "postprocess": ("postprocess", "outputs -> COCO mAP, page: eval and report"),
    "eval": ("postprocess eval", "outputs -> COCO mAP"),
    "report": ("postprocess report", "one HTML page: figures, classes, drawn detections"),
    "pipeline": ("pipeline", "stages in one process: run"),
    "run": ("pipeline run", "images -> COCO mAP, no bins on disk"),
}


def parser() -> cli.Parser:
    """The command line, as far as it is not a command's own."""
    does = (f"  {word:<12}{does}  [python -m {form}]" for word, (form, does) in COMMANDS.items())
    options = cli.Parser(
        prog="omline",
        usage="omline COMMAND [OPTION ...]",
        description="Trained object detectors to Ascend cards. `omline COMMAND --help` tells a command's options.",
        epilog="\n".join(("commands, each the same as the `python -m` form behind it:", *does)),
    )
    options.add_argument("command", choices=COMMANDS, metavar="COMMAND", help="see below")
    options.add_argument("--version", action="store_true", help="print the version and exit")
    return options


def main() -> NoReturn:
    """Become the `python -m` form of the first word, so that exit codes and signals are its own.

    `-P`: the modules are those beside this one, whatever lies in the working directory.
    """
    word, given = (sys.argv[1:2] or [""])[0], sys.argv[2:]
    if word in COMMANDS:
        os.execv(sys.executable, [sys.executable, "-P", "-m", *COMMANDS[word][0].split(), *given])
    cli.run(_explain)


def _explain(argv: Sequence[str]) -> None:
    """Answer where no command is the first word."""
    if list(argv) == ["--version"]:
        sys.stdout.write(f"{version('omline')}\n")
        return
    options = parser()
    options.parse_args(argv)
    options.error("the command comes first: omline COMMAND [OPTION ...]")
