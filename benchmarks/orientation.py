"""Claim: one model with a landscape and a portrait canvas finds more than the landscape canvas alone, at the same cost.

    python -m benchmarks.orientation > benchmarks/orientation.txt

Both sides are the demo's weights and pictures, the shorter side bounded by 256 pixels and the longer one by 384. On the
landscape canvas alone a portrait picture shrinks until its height fits. The canvases have equally many pixels, so that
the network does the same work per image.
"""

import json
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks.machine import machine_text
from demo.dataset import SPLITS
from detector import tools
from detector.cli import Parser, positive, run
from detector.products.manifest_files import read_manifests

WEIGHTS = Path(__file__).resolve().parents[1] / "demo" / "weights" / "fcos_r18_shapes.pth"
LANDSCAPE, PORTRAIT = (256, 384), (384, 256)
BATCH_SIZE = 8
SETTINGS = (f"canvas={list(LANDSCAPE)}", f"image.short={LANDSCAPE[0]}", f"image.long={LANDSCAPE[1]}")
SIDES = {"landscape alone": "null", "both": json.dumps([LANDSCAPE, PORTRAIT])}


def average_precision(gears: str, coco: Path, work: Path) -> tuple[float, dict[str, int]]:
    """AP in percent of one side, and its images per canvas.

    Args:
        gears: value of `atc.image_sizes`.
        coco: folder of `demo.dataset`.
        work: empty folder for everything in between.
    """
    settings = [word for setting in (*SETTINGS, f"atc.image_sizes={gears}") for word in ("--set", setting)]
    model, om, bins = work / "demo.onnx", work / "om", work / "bins"
    _command("export", "--model", "demo", "--weights", WEIGHTS, "--onnx", model, *settings)
    _command("convert", "--onnx", model, "--batch_size", BATCH_SIZE, "--target", "cpu", "--output", om)
    _command("preprocess", "--model", model, "--image_src_path", coco / "val2017", "--bin_file_path", bins)
    _command("infer", "--model", f"{om}.onnx", "--input", bins, "--output", work, "--output_dirname", "result")
    _command(
        "postprocess", "eval", "--bin_data_path", work / "result", "--test_annotation", bins,
        "--annotations_path", coco / "annotations", "--det_results_path", work / "eval",
    )  # fmt: skip
    counts = {str(each.spec.canvas): len(each.images) for each in read_manifests(bins).values()}
    return float(json.loads((work / "eval" / "metrics.json").read_text())["AP"]), counts


def _command(*words: object) -> None:
    tools.run([sys.executable, "-m", *map(str, words)])


def main(argv: Sequence[str]) -> None:
    """Run both sides, print both APs and one JSON line."""
    parser = Parser(prog="python -m benchmarks.orientation", description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=positive, default=SPLITS["val"].images, help="pictures (default %(default)s)")
    args = parser.parse_args(argv)
    print(machine_text(["numpy", "opencv-python-headless", "onnxruntime"]))
    found = {}
    with tempfile.TemporaryDirectory() as name:
        coco = Path(name) / "coco"
        _command("demo.dataset", "--output", coco, "--split", "val", "--images", args.images)
        for number, (side, gears) in enumerate(SIDES.items()):
            work = Path(name) / str(number)
            work.mkdir(mode=0o750)
            ap, counts = average_precision(gears, coco, work)
            shares = ", ".join(f"{count} on {canvas}" for canvas, count in counts.items())
            print(f"{side:16} AP {ap:6.2f}   {shares}")
            found[side] = ap
    print(json.dumps({"images": args.images, "AP": found}))


if __name__ == "__main__":
    run(main)
