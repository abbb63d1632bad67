"""`python -m postprocess eval`: score results; `python -m postprocess report`: show a scored result as a page."""

import argparse
import contextlib
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from detector import cli
from detector.files.lock import exclusive

EPILOG = """examples:
  python -m postprocess eval --bin_data_path work/result --test_annotation work/bins \\
      --annotations_path /opt/npu/coco/annotations --det_results_path work/eval
  python -m postprocess eval --detections dets.json --annotations_path instances_val2017.json

The last line of stdout is one JSON object: the 12 figures in percent (null: undefined) and what was counted.
"""

REPORT_EPILOG = """example:
  python -m postprocess report --det_results_path work/eval --annotations_path /opt/npu/coco/annotations \\
      --image_src_path /opt/npu/coco/val2017 --output work/report.html

The page loads nothing from outside. The last line of stdout is one JSON object: its path and size in bytes.
"""


def parser() -> argparse.ArgumentParser:
    """The command line."""
    top = cli.Parser(prog="python -m postprocess", description="Outputs of inference -> detections -> COCO mAP.")
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    command = commands.add_parser("eval", help="score detections against COCO annotations", epilog=EPILOG)
    command.description = "Score a result folder of ais_bench, or with --detections any COCO box result file."
    source = command.add_argument_group("what to score")
    source.add_argument(
        "--bin_data_path", metavar="RESULT", help="result folder (default ./result/dumpOutput_device0/)"
    )
    source.add_argument(
        "--test_annotation",
        metavar="MANIFEST_OR_INFO",
        help="manifest of the bins, its folder, or the guide's info file (default ./origin_pictures.info)",
    )
    source.add_argument(
        "--detections", type=Path, metavar="JSON", help="a COCO result file, instead of a result folder"
    )
    _add_annotations(source)
    source.add_argument("--subset", action="store_true", help="score only the images that were preprocessed")
    _add_model_options(command)
    products = command.add_argument_group("products")
    products.add_argument(
        "--det_results_path",
        type=Path,
        metavar="DIR",
        help="receives detections.json and metrics.json (default ./detection-results/; with --detections only "
        "metrics.json, and only if given)",
    )
    products.add_argument(
        "--beside", type=Path, metavar="DIR", help="another evaluation's folder: its AP is printed beside this one's"
    )
    products.add_argument("--per_class", action="store_true", help="print the classes even if there are more than 100")
    products.add_argument("--ifShowDetObj", action="store_true", help="accepted for old scripts, no effect")
    _add_report(commands)
    return top


def _add_report(commands: "argparse._SubParsersAction[cli.Parser]") -> None:
    command = commands.add_parser("report", help="show an evaluation as one HTML page", epilog=REPORT_EPILOG)
    command.description = "Write one self-contained HTML file: figures, classes, and images with what was found."
    command.add_argument(
        "--det_results_path",
        type=Path,
        default=Path("./detection-results/"),
        metavar="DIR",
        help="folder that eval wrote: metrics.json and detections.json (default ./detection-results/)",
    )
    _add_annotations(command)
    command.add_argument("--image_src_path", type=Path, metavar="IMAGES", help="image folder; without it no gallery")
    command.add_argument(
        "--images",
        type=cli.positive,
        default=12,
        metavar="N",
        help="images to show, evenly spread over the list; the one with the most missed objects is added "
        "(default %(default)s)",
    )
    command.add_argument(
        "--output", type=Path, metavar="HTML", help="file to write (default report.html in --det_results_path)"
    )


def _add_annotations(group: "argparse._ActionsContainer") -> None:
    group.add_argument(
        "--annotations_path",
        type=Path,
        default=Path("/opt/npu/coco/annotations"),
        metavar="DIR_OR_JSON",
        help="COCO annotation file or its folder (default %(default)s)",
    )


def _add_model_options(command: argparse.ArgumentParser) -> None:
    model = command.add_argument_group("the model (the manifest knows; needed with an info file)")
    model.add_argument("--model", metavar="NAME|FILE", help="model name, .yaml, exported .onnx or built .om")
    model.add_argument(
        "--net_input_height", type=int, metavar="H", help="canvas; with an info file and no --model (default 1344)"
    )
    model.add_argument("--net_input_width", type=int, metavar="W", help="likewise (default 1344)")
    model.add_argument("--recipe", choices=("modelzoo", "mmdet"), help="resize rule; likewise (default modelzoo)")
    model.add_argument(
        "--net_out_num",
        type=int,
        metavar="N",
        help="accepted for old scripts, no effect: the model has 2 outputs (old calls said 3 because of an off-by-one)",
    )


def main(argv: Sequence[str]) -> None:
    """Parse, score or show, print."""
    top = parser()
    args = top.parse_args(argv)
    product = _product(args)
    doing = "reporting to" if args.command == "report" else "evaluating into"
    with exclusive(product, doing=doing) if product else contextlib.nullcontext():
        if args.command == "report":
            _report(args)
        else:
            _eval(top, args)


def _product(args: argparse.Namespace) -> Path | None:
    """What the command writes: the page, or the folder of an evaluation; None: nothing."""
    results: Path | None = args.det_results_path
    if args.command == "report":
        from postprocess.report import REPORT_NAME

        page: Path = args.output or args.det_results_path / REPORT_NAME
        return page
    return results if args.detections else results or Path("./detection-results/")


def _report(args: argparse.Namespace) -> None:
    from postprocess.report import REPORT_NAME, write_report

    output: Path = args.output or args.det_results_path / REPORT_NAME
    size = write_report(
        args.det_results_path, args.annotations_path, output, images=args.image_src_path, count=args.images
    )
    print(json.dumps({"report": str(output), "bytes": size}))


def _eval(top: argparse.ArgumentParser, args: argparse.Namespace) -> None:
    if args.detections and (args.bin_data_path or args.test_annotation or args.subset or args.model):
        top.error(
            "--detections scores a result file alone: leave out --bin_data_path, --test_annotation, --subset, --model"
        )

    from postprocess.bins import Told
    from postprocess.scored import read_record
    from postprocess.scoring import METRICS_NAME, score_file, score_folder
    from postprocess.table import beside, to_text

    out: Path | None = args.det_results_path
    if args.detections:
        evaluation = score_file(args.detections, args.annotations_path, out)
    else:
        out = out or Path("./detection-results/")
        evaluation = score_folder(
            Path(args.bin_data_path or "./result/dumpOutput_device0/"),
            Path(args.test_annotation or "./origin_pictures.info"),
            args.annotations_path,
            out,
            told=Told(args.model, args.net_input_height, args.net_input_width, args.recipe),
            subset=args.subset,
        )
    print(to_text(evaluation, all_classes=args.per_class))
    if args.beside:
        print(beside(evaluation, read_record(args.beside), where=str(args.beside)))
    metrics = evaluation.metrics
    counts = {"images": metrics.images, "objects": metrics.objects, "detections": metrics.detections}
    print(json.dumps({**metrics.figures, **counts, "metrics": str(out / METRICS_NAME) if out else None}))


if __name__ == "__main__":
    cli.run(main, sys.argv[1:])
