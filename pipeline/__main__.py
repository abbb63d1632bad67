"""`python -m pipeline run`: images to detections and COCO figures, no bins on disk; and convert's `bisect`."""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

from detector import cli
from detector.errors import PipelineError
from infer.contract.option_values import integer, model_file

EPILOG = """example:
  python -m pipeline run --model om_models/demo_bs8.onnx --image_src_path coco/val2017 \\
      --annotations_path coco/annotations --det_results_path work/stream

Writes the detections.json and metrics.json of `make preprocess infer eval`, and only these.
The last line of stdout is one JSON object: the 12 figures in percent (null: undefined) and what was counted.
"""


def parser() -> argparse.ArgumentParser:
    """The command line."""
    top = cli.Parser(
        prog="python -m pipeline",
        description="Stages in one process. `python -m convert bisect` runs here too, as `bisect`.",
    )
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    commands.add_parser("bisect", help="what `python -m convert bisect` becomes: its --help tells the options")
    command = commands.add_parser("run", help="images to COCO mAP, nothing but the products on disk", epilog=EPILOG)
    command.description = "Decode, letterbox, infer on the CPU, decode and score, batch after batch."
    add = command.add_argument
    add("--model", type=model_file, required=True, metavar="ONNX", help="converted model, as `python -m convert` wrote")
    add("--image_src_path", type=Path, required=True, metavar="IMAGES", help="folder of images")
    add(
        "--annotations_path", type=Path, required=True, metavar="DIR_OR_JSON", help="COCO annotation file or its folder"
    )
    add("--det_results_path", type=Path, required=True, metavar="DIR", help="receives detections.json and metrics.json")
    add("--workers", type=integer(1), metavar="N", help="processes that read images (the cores, at most 4)")
    add("--limit", type=integer(1), metavar="N", help="only the first so many images in order of their names")
    add("--recursive", action="store_true", help="sub-folders as well, although the folder itself holds images")
    add("--subset", action="store_true", help="score only these images, not all that are annotated")
    add(
        "--only_annotated", action="store_true", help="leave out images that the annotations do not list; says how many"
    )
    add(
        "--ignore_annotated_size",
        action="store_true",
        help="do not compare the annotated width and height of images, where they are wrong (swapped, say)",
    )
    add("--per_class", action="store_true", help="print the classes even if there are more than 100")
    return top


def main(argv: Sequence[str]) -> None:
    """Parse, stream, print; or search, as `python -m convert bisect` asks."""
    if argv[:1] == ["bisect"]:
        from pipeline.bisect import bisect_command

        bisect_command(argv[1:], print)
        return
    args = parser().parse_args(argv)
    from pipeline.stream import stream
    from postprocess.metrics.metrics_file import METRICS_NAME
    from postprocess.metrics.terminal import to_text

    out: Path = args.det_results_path
    try:
        evaluation = stream(
            Path(args.model),
            args.image_src_path,
            args.annotations_path,
            out,
            workers=args.workers,
            limit=args.limit,
            subset=args.subset,
            only_annotated=args.only_annotated,
            recursive=args.recursive,
            any_size=args.ignore_annotated_size,
            command=("pipeline", *argv),
        )
    except MemoryError as error:
        raise PipelineError(
            f"{args.model}: {cli.NO_MEMORY}, or convert it with a smaller --batch_size or --canvas"
        ) from error
    print(to_text(evaluation, all_classes=args.per_class))
    metrics = evaluation.metrics
    counts = {"images": metrics.images, "objects": metrics.objects, "detections": metrics.detections}
    print(json.dumps({**metrics.figures, **counts, "metrics": str(out / METRICS_NAME)}))


if __name__ == "__main__":
    cli.run(main)
