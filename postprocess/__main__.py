"""`python -m postprocess eval`: score results; `python -m postprocess report`: show a scored result as a page."""

import argparse
import contextlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from detector import cli
from detector.files.lock import exclusive

if TYPE_CHECKING:
    from postprocess.metrics.evaluation import End

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

ANNOTATIONS = Path("/opt/npu/coco/annotations")


def parser() -> argparse.ArgumentParser:
    """The command line."""
    top = cli.Parser(prog="python -m postprocess", description="Outputs of inference -> detections -> COCO mAP.")
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _add_eval(commands)
    _add_report(commands)
    return top


def _add_eval(commands: "argparse._SubParsersAction[cli.Parser]") -> None:
    command = commands.add_parser("eval", help="score detections against COCO annotations", epilog=EPILOG)
    command.description = "Score a result folder of ais_bench, or with --detections any COCO box result file."
    _add_sources(command.add_argument_group("what to score"))
    _add_model_options(command)
    _add_products(command.add_argument_group("products"))


def _add_sources(source: "argparse._ActionsContainer") -> None:
    source.add_argument(
        "--bin_data_path", type=cli.given, metavar="RESULT", help="result folder (default ./result/dumpOutput_device0/)"
    )
    source.add_argument(
        "--test_annotation",
        type=cli.given,
        metavar="MANIFEST_OR_INFO",
        help="manifest of the bins, its folder, or the guide's info file (default ./origin_pictures.info)",
    )
    source.add_argument(
        "--detections", type=Path, metavar="JSON", help="a COCO result file, instead of a result folder"
    )
    _add_annotations(source)
    source.add_argument("--subset", action="store_true", help="score only the images that were preprocessed")
    source.add_argument("--only_annotated", action="store_true", help="score only the images that are annotated")
    source.add_argument(
        "--ignore_annotated_size",
        action="store_true",
        help="do not compare the annotated width and height of images, where they are wrong (swapped, say)",
    )
    source.add_argument(
        "--no_annotations",
        action="store_true",
        help="score nothing, leave detections.json; with the ids of --annotations_path where it is given (an image "
        "list will do), else category ids of the spec, and for images the numbers in their names",
    )
    source.add_argument(
        "--max_detections",
        type=_limits,
        default=(1, 10, 100),
        metavar="A,B,C",
        help="most confident detections per image and class that count (default 1,10,100; 100,300,1000: as in "
        "mmdetection's CocoMetric)",
    )


def _add_products(products: "argparse._ActionsContainer") -> None:
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
    products.add_argument(
        "--ends",
        type=Path,
        nargs=2,
        metavar=("LOW", "HIGH"),
        help="of a forecast: folders of the evaluations of .low.onnx and .high.onnx of simulate: tells the range of AP",
    )
    products.add_argument("--per_class", action="store_true", help="print the classes even if there are more than 100")
    products.add_argument("--ifShowDetObj", action="store_true", help="accepted for old scripts, no effect")


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
        metavar="DIR_OR_JSON",
        help=f"COCO annotation file or its folder (default {ANNOTATIONS})",
    )


def _add_model_options(command: argparse.ArgumentParser) -> None:
    model = command.add_argument_group("the model (the manifest knows; needed with an info file)")
    model.add_argument(
        "--model", type=cli.given, metavar="NAME|FILE", help="model name, .yaml, exported .onnx or built .om"
    )
    model.add_argument(
        "--net_input_height",
        type=cli.positive,
        metavar="H",
        help="canvas; with an info file and no --model (default 1344)",
    )
    model.add_argument("--net_input_width", type=cli.positive, metavar="W", help="likewise (default 1344)")
    model.add_argument("--recipe", choices=("modelzoo", "mmdet"), help="resize rule; likewise (default modelzoo)")
    model.add_argument(
        "--net_out_num",
        type=int,
        metavar="N",
        help="accepted for old scripts, no effect: the model has 2 outputs (old calls said 3 because of an off-by-one)",
    )


def _limits(text: str) -> tuple[int, ...]:
    """Parse three limits, ascending."""
    values = tuple(cli.positive(part) for part in text.split(","))
    if len(values) != 3 or sorted(set(values)) != list(values):
        raise argparse.ArgumentTypeError(f"expected three ascending numbers, such as 100,300,1000, got {text}")
    return values


def main(argv: Sequence[str]) -> None:
    """Parse, score or show, print."""
    top = parser()
    args = top.parse_args(argv)
    product = _product(args)
    doing = "reporting to" if args.command == "report" else "evaluating into"
    with exclusive(product, doing=doing) if product else contextlib.nullcontext():
        if product is not None and args.command == "report":
            _report(args, product)
        else:
            _eval(top, args, product, ("postprocess", *argv))


def _product(args: argparse.Namespace) -> Path | None:
    """What the command writes: the page, or the folder of an evaluation; None: nothing."""
    results: Path | None = args.det_results_path
    if args.command == "report":
        from postprocess.report.page import REPORT_NAME

        page: Path = args.output or args.det_results_path / REPORT_NAME
        return page
    return results if args.detections else results or Path("./detection-results/")


def _report(args: argparse.Namespace, output: Path) -> None:
    from postprocess.report.page import write_report

    size = write_report(
        args.det_results_path,
        args.annotations_path or ANNOTATIONS,
        output,
        images=args.image_src_path,
        count=args.images,
    )
    print(json.dumps({"report": str(output), "bytes": size}))


def _end(folder: Path) -> "End":
    from postprocess.metrics.evaluation import End
    from postprocess.metrics.metrics_file import read_record

    record = read_record(folder)
    ap, images = record.figures["AP"], record.counts.images
    return End(str(folder), ap, images, record.max_detections, record.annotations_sha256)


def _eval(top: argparse.ArgumentParser, args: argparse.Namespace, out: Path | None, command: tuple[str, ...]) -> None:
    alone = ("bin_data_path", "test_annotation", "ends", "subset", "model", "only_annotated", "ignore_annotated_size")
    if args.detections and any(getattr(args, option) for option in (*alone, "no_annotations")):
        options = ", ".join(f"--{option}" for option in (*alone, "no_annotations"))
        top.error(f"--detections scores a result file alone: leave out {options}")

    from postprocess.metrics.metrics_file import METRICS_NAME, read_record
    from postprocess.metrics.terminal import beside, to_text
    from postprocess.outputs.bins import Told
    from postprocess.score_results import Rules, detect_folder, score_file, score_folder

    truth: Path = args.annotations_path or ANNOTATIONS
    told = Told(args.model, args.net_input_height, args.net_input_width, args.recipe)
    ends, any_size = tuple(map(_end, args.ends or ())), args.ignore_annotated_size
    rules = Rules(args.subset, args.only_annotated, any_size, args.max_detections, ends, command)
    results = Path(args.bin_data_path or "./result/dumpOutput_device0/")
    info = Path(args.test_annotation or "./origin_pictures.info")
    if args.detections or out is None:
        evaluation = score_file(args.detections, truth, out, rules=rules)
    else:
        if out.is_dir() and results.is_dir() and out.samefile(results):
            top.error(
                f"--det_results_path {out} is the folder of the results, which must hold nothing else: give another"
            )
        if args.no_annotations:
            print(json.dumps(detect_folder(results, info, args.annotations_path, out, told=told, rules=rules)))
            return
        evaluation = score_folder(results, info, truth, out, told=told, rules=rules)
    print(to_text(evaluation, all_classes=args.per_class))
    if args.beside:
        print(beside(evaluation, read_record(args.beside), where=str(args.beside)))
    metrics = evaluation.metrics
    counts = {"images": metrics.images, "objects": metrics.objects, "detections": metrics.detections}
    print(json.dumps({**metrics.figures, **counts, "metrics": str(out / METRICS_NAME) if out else None}))


if __name__ == "__main__":
    cli.run(main)
