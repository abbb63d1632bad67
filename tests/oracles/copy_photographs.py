"""Make tests/data/coco and tests/data/cocoapi: the few photographs and annotations that tests read.

    python tests/oracles/copy_photographs.py COCO COCOAPI

COCO is a folder with val2017/ and annotations/instances_val2017.json (cocodataset.org), COCOAPI one with the
evaluator's own check: files of `results/` of github.com/cocodataset/cocoapi, and the ground truth of its 100 images.

Only photographs that may be passed on and changed are taken: licence 4 of the annotation file, CC BY 2.0. Three are
copied as they are. The fourth, which has no annotation and is nearly square, is stored without colour, so that one JPEG
has one component. Of annotations the masks are left out: nothing here reads them. The boxes of all images of COCO are
kept as well. What is packed with gzip is unpacked by the fixtures `evaluator_check` and `coco_boxes`.
"""

import gzip
import json
import shutil
import sys
from collections.abc import Iterable
from pathlib import Path

import cv2
from records import DATA, PHOTOGRAPHS

ATTRIBUTION = 4  # CC BY 2.0
QUALITY = 80
MASKS = 3  # rows of the mask results: enough to see what the file is


def photographs(coco: Path) -> None:
    """Copy the four with their annotations."""
    target = DATA / "coco"
    for folder in ("val2017", "annotations"):
        (target / folder).mkdir(parents=True, exist_ok=True)
    annotations = json.loads((coco / "annotations" / "instances_val2017.json").read_text())
    names = {*PHOTOGRAPHS}
    images = [image for image in annotations["images"] if image["file_name"] in names]
    if len(images) != len(names) or {image["license"] for image in images} != {ATTRIBUTION}:
        raise ValueError("a photograph is missing or may not be passed on")
    pack("coco/annotations/boxes", {**annotations, "annotations": without_masks(annotations["annotations"])})
    ids = {image["id"] for image in images}
    annotations["images"] = images
    annotations["annotations"] = without_masks(row for row in annotations["annotations"] if row["image_id"] in ids)
    (target / "annotations" / "instances_val2017.json").write_text(compact(annotations))
    *coloured, colourless = PHOTOGRAPHS
    for name in coloured:
        shutil.copyfile(coco / "val2017" / name, target / "val2017" / name)
    grey = cv2.imread(str(coco / "val2017" / colourless), cv2.IMREAD_GRAYSCALE)
    cv2.imwrite(str(target / "val2017" / colourless), grey, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])


def evaluator_check(cocoapi: Path) -> None:
    """Pack the check without masks."""
    truth = json.loads((cocoapi / "instances_val2014_100.json").read_text())
    truth["annotations"] = without_masks(truth["annotations"])
    masks = json.loads((cocoapi / "instances_val2014_fakesegm100_results.json").read_text())[:MASKS]
    boxes = json.loads((cocoapi / "instances_val2014_fakebbox100_results.json").read_text())
    (DATA / "cocoapi").mkdir(exist_ok=True)
    for name, document in (("truth", truth), ("boxes", boxes), ("masks", masks)):
        pack(f"cocoapi/{name}", document)


def pack(name: str, document: object) -> None:
    (DATA / f"{name}.json.gz").write_bytes(gzip.compress(compact(document).encode(), mtime=0))


def without_masks(rows: Iterable[dict]) -> list[dict]:
    return [{key: value for key, value in row.items() if key != "segmentation"} for row in rows]


def compact(document: object) -> str:
    return json.dumps(document, separators=(",", ":")) + "\n"


if __name__ == "__main__":
    photographs(Path(sys.argv[1]))
    evaluator_check(Path(sys.argv[2]))
