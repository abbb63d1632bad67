"""Claim: our evaluation gives the figures of pycocotools several times as fast.

    python -m benchmarks.eval_vs_pycocotools > benchmarks/eval_vs_pycocotools.txt

Both sides start from the same two files, an annotation file and a result file of synthetic boxes in the proportions of
COCO val2017 (80 categories, 7.3 objects and up to 100 detections per image, 1 % crowd regions), and end with the 12
figures: pycocotools with COCO, loadRes, evaluate, accumulate and summarize; ours with everything that it checks.
"""

import contextlib
import io
import json
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.machine import machine_text
from detector.cli import Parser, positive, run
from detector.errors import AccuracyError
from detector.files.atomic import write_json
from postprocess.coco_files import read_annotations, read_detections
from postprocess.metrics.coco_metrics import FIGURES, evaluate

# instances_val2017.json: 36,781 boxes on 5000 images of about 640x480.
OBJECTS_PER_IMAGE = 7.3
CATEGORIES = 80
DETECTIONS_PER_IMAGE = 100
WIDTH, HEIGHT = 640, 480
# Two libraries sum the same numbers in another order.
TOLERANCE = 1e-12


def synthetic_truth(images: int, *, seed: int = 0) -> dict[str, Any]:
    """A COCO annotation file: objects of all three sizes, a few categories much more frequent than the others."""
    random = np.random.default_rng(seed)
    owners = np.repeat(np.arange(1, images + 1), random.poisson(OBJECTS_PER_IMAGE, images))
    sides = np.exp(random.uniform(np.log(8), np.log(300), (len(owners), 2)))
    corners = random.uniform(0, 1, (len(owners), 2)) * np.maximum([WIDTH, HEIGHT] - sides, 1)
    categories = np.minimum(random.geometric(0.05, len(owners)), CATEGORIES)
    crowds = random.random(len(owners)) < 0.01
    rows = zip(owners.tolist(), categories.tolist(), corners.tolist(), sides.tolist(), crowds.tolist(), strict=True)
    return {
        "images": [
            {"id": i, "file_name": f"{i:012d}.jpg", "width": WIDTH, "height": HEIGHT} for i in range(1, images + 1)
        ],
        "categories": [{"id": i, "name": f"class {i}"} for i in range(1, CATEGORIES + 1)],
        "annotations": [
            {
                "id": number,
                "image_id": image_id,
                "category_id": category_id,
                "bbox": [*corner, *side],
                "area": side[0] * side[1] * 0.7,
                "iscrowd": int(crowd),
            }
            for number, (image_id, category_id, corner, side, crowd) in enumerate(rows, start=1)
        ],
    }


def synthetic_detections(truth: dict[str, Any], *, seed: int = 1) -> list[dict[str, Any]]:
    """For every image 100 boxes: near misses of its objects, some of another class, scores with ties."""
    random = np.random.default_rng(seed)
    of_image: dict[int, list[dict[str, Any]]] = {image["id"]: [] for image in truth["images"]}
    for item in truth["annotations"]:
        of_image[item["image_id"]].append(item)
    rows = []
    for image_id, objects in of_image.items():
        for _ in range(DETECTIONS_PER_IMAGE if objects else 0):
            item = objects[int(random.integers(len(objects)))]
            x, y, width, height = item["bbox"]
            dx, dy, dw, dh = random.normal(0, 0.15, 4) * [width, height, width, height]
            wrong = random.random() < 0.3
            category_id = int(random.integers(1, CATEGORIES + 1)) if wrong else item["category_id"]
            bbox = [x + dx, y + dy, abs(width + dw), abs(height + dh)]
            score = round(float(random.random()), 3)
            rows.append({"image_id": image_id, "category_id": category_id, "bbox": bbox, "score": score})
    return rows


def with_pycocotools(annotations: Path, detections: Path) -> list[float]:
    """The 12 figures, fractions, -1 where undefined."""
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO(str(annotations))
        evaluator = COCOeval(truth, truth.loadRes(str(detections)), "bbox")
        evaluator.evaluate()
        evaluator.accumulate()
        evaluator.summarize()
    return [float(value) for value in evaluator.stats]


def with_ours(annotations: Path, detections: Path) -> list[float]:
    """The same figures from the functions behind `python -m postprocess eval --detections`."""
    figures = evaluate(read_annotations(annotations), read_detections(detections)).figures
    values = [figures[figure.name] for figure in FIGURES]
    return [-1.0 if value is None else value / 100 for value in values]


def main(argv: Sequence[str]) -> None:
    """Compare figures, then times."""
    parser = Parser(prog="python -m benchmarks.eval_vs_pycocotools", description=__doc__)
    parser.add_argument("--images", type=positive, default=1000, help="of the synthetic set (default %(default)s)")
    parser.add_argument("--rounds", type=positive, default=5, help="times that each side runs (default %(default)s)")
    args = parser.parse_args(argv)
    print(machine_text(["numpy", "pycocotools", "faster-coco-eval"]))  # first: its load is that of others
    sides = {"pycocotools": with_pycocotools, "ours": with_ours}
    times: dict[str, list[float]] = {name: [] for name in sides}
    found: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as work:
        annotations, detections = Path(work) / "truth.json", Path(work) / "detections.json"
        truth = synthetic_truth(args.images)
        rows = synthetic_detections(truth)
        write_json(annotations, truth)
        write_json(detections, rows)
        for _ in range(args.rounds):
            for name, side in sides.items():  # in turn, so that a busy minute of the machine meets both
                start = time.perf_counter()
                found[name] = side(annotations, detections)
                times[name].append(time.perf_counter() - start)
    require_same_figures(found["pycocotools"], found["ours"])
    print(f"{args.images} images, {len(truth['annotations'])} objects, {len(rows)} detections, {CATEGORIES} categories")
    print(
        "12 figures identical: "
        + " ".join(f"{figure.name} {100 * value:.2f}" for figure, value in zip(FIGURES, found["ours"], strict=True))
    )
    best = {name: min(values) for name, values in times.items()}  # the round that others disturbed least
    for name, values in times.items():
        print(f"{name:<12} {best[name]:6.2f} s (best of {' '.join(f'{value:.2f}' for value in values)})")
    ratio = best["pycocotools"] / best["ours"]
    print(f"ratio        {ratio:6.2f}")
    print(json.dumps({"images": args.images, "detections": len(rows), "seconds": best, "ratio": ratio}))


def require_same_figures(expected: Sequence[float], got: Sequence[float]) -> None:
    """Equal but for the order of a sum.

    Raises:
        AccuracyError: naming the first figure that differs.
    """
    for figure, theirs, ours in zip(FIGURES, expected, got, strict=True):
        if abs(theirs - ours) > TOLERANCE:
            raise AccuracyError(f"{figure.name} is {ours}, pycocotools says {theirs}")


if __name__ == "__main__":
    run(main)
