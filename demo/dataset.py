"""Write a COCO-format detection set of synthetic pictures: `python -m demo.dataset --split val`.

The same seed gives the same files. Boxes, areas and segmentations are those of the *visible* part of an object, as
COCO's annotators drew them. The annotation file is written last: a folder that has one is complete.
"""

import argparse
import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np

from demo.scene import CATEGORIES, LONGEST_SIDE, SHORTEST_SIDE, Mask, Scene, draw_scene
from detector.cli import Parser, run
from detector.errors import DataError
from detector.files.atomic import make_folder, write_bytes, write_json

OUTPUT = Path("work/demo/coco")
DESCRIPTION = "synthetic shapes"
JPEG_QUALITY = 95
# COCO's ids are neither 0, 1, 2, … nor the position in the file; nor are these.
FIRST_IMAGE_ID, IMAGE_ID_STEP = 139, 7
# One in eight pictures is square and one in eight has a crowd; the others are landscape and portrait in turn.
CYCLE, SQUARE_AT, CROWD_AT = 8, 7, 3


class Split(NamedTuple):
    """How many pictures a split has and the seed they come from."""

    images: int
    seed: int


# The one place where the demo's sets are defined: these are the defaults of the command.
SPLITS = {"train": Split(images=3000, seed=2017), "val": Split(images=200, seed=5000)}


class Picture(NamedTuple):
    """One entry of the set: COCO's image record, the picture, its annotations without their ids."""

    record: dict[str, Any]
    scene: Scene
    annotations: list[dict[str, Any]]


def pictures(images: int, seed: int) -> Iterator[Picture]:
    """Make a set, one picture at a time.

    Args:
        images: how many; one of them, if there are two or more, shows nothing.
        seed: every picture has its own generator from (seed, index), so that a longer set begins like a shorter one
            but for the empty picture.
    """
    for index in range(images):
        rng = np.random.default_rng((seed, index))
        height, width = _size(rng, index)
        empty = index == images // 3 and images > 1
        crowd = not empty and index % CYCLE == CROWD_AT
        scene = draw_scene(rng, height, width, objects=0 if empty else int(rng.integers(3, 10)), crowd=crowd)
        image_id = FIRST_IMAGE_ID + IMAGE_ID_STEP * index
        record = {"id": image_id, "file_name": f"{image_id:012d}.jpg", "height": height, "width": width}
        yield Picture(record, scene, annotations_of(scene, image_id))


def _size(rng: np.random.Generator, index: int) -> tuple[int, int]:
    short, long = sorted(rng.integers(SHORTEST_SIDE, LONGEST_SIDE + 1, 2).tolist())
    if index % CYCLE == SQUARE_AT:
        return long, long
    return (short, long) if index % 2 == 0 else (long, short)


def annotations_of(scene: Scene, image_id: int) -> list[dict[str, Any]]:
    """COCO annotations of a scene, without `id`: boxes are x y width height of the visible part, in pixels."""
    annotations = []
    for index, thing in enumerate(scene.things):
        mask = scene.visible(index)
        rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        left, top = int(columns[0]), int(rows[0])
        annotations.append({
            "image_id": image_id,
            "category_id": CATEGORIES[thing.label][0],
            "bbox": [left, top, int(columns[-1]) - left + 1, int(rows[-1]) - top + 1],
            "area": int(np.count_nonzero(mask)),
            "iscrowd": int(thing.crowd),
            "segmentation": run_lengths(mask) if thing.crowd else polygons(mask),
        })  # fmt: skip
    return annotations


def run_lengths(mask: Mask) -> dict[str, list[int]]:
    """Uncompressed run lengths as COCO writes them for crowds: column by column, beginning with a run of zeros."""
    flat = mask.T.ravel()
    edges = np.flatnonzero(np.diff(flat)) + 1
    runs = np.diff(np.concatenate([[0], edges, [flat.size]])).tolist()
    return {"size": list(mask.shape), "counts": [0, *runs] if flat[0] else runs}


def polygons(mask: Mask) -> list[list[float]]:
    """Outer outlines of a mask as COCO writes them: [x1, y1, x2, y2, …] per part, three points or more."""
    # findContours goes through pixel centres; on doubled pixels that is a quarter of a pixel inside their edges.
    doubled = mask.astype(np.uint8).repeat(2, axis=0).repeat(2, axis=1)
    outlines, _ = cv2.findContours(doubled, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    return [((outline.reshape(-1) + 0.5) / 2).tolist() for outline in outlines if len(outline) >= 3]


def write_dataset(output: Path, split: str, *, images: int, seed: int) -> dict[str, Any]:
    """Write `<split>2017/*.jpg` and `annotations/instances_<split>2017.json` below a folder.

    Returns:
        Counts, the annotation file and a digest of all picture files.

    Raises:
        DataError: the folder holds files of another set, which are left alone.
        ArtifactError: a file cannot be written.
    """
    folder = output / f"{split}2017"
    annotation_file = output / "annotations" / f"instances_{split}2017.json"
    names = {f"{FIRST_IMAGE_ID + IMAGE_ID_STEP * index:012d}.jpg" for index in range(images)}
    _refuse_other_sets(folder, annotation_file, names)
    make_folder(folder)
    make_folder(annotation_file.parent)
    annotation_file.unlink(missing_ok=True)

    records: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for picture in pictures(images, seed):
        jpeg = cv2.imencode(".jpg", picture.scene.image, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])[1].tobytes()
        write_bytes(folder / picture.record["file_name"], jpeg)
        records.append(picture.record)
        annotations += [{"id": len(annotations) + n, **entry} for n, entry in enumerate(picture.annotations, start=1)]
    document = {
        "info": {"description": DESCRIPTION, "split": split, "images": images, "seed": seed},
        "licenses": [],
        "images": records,
        "annotations": annotations,
        "categories": [{"id": i, "name": name, "supercategory": "shape"} for i, name in CATEGORIES],
    }
    write_json(annotation_file, document, indent=None)
    return {
        "images": len(records),
        "annotations": len(annotations),
        "annotation_file": str(annotation_file),
        "images_sha256": digest_of(folder / record["file_name"] for record in records),
    }


def digest_of(paths: Iterable[Path]) -> str:
    """Hex SHA-256 over the bytes of files, one after the other: equal digests mean equal pictures."""
    digest = hashlib.sha256()
    for path in paths:
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _refuse_other_sets(folder: Path, annotation_file: Path, names: set[str]) -> None:
    if annotation_file.exists():
        try:
            description = json.loads(annotation_file.read_bytes())["info"]["description"]
        except (ValueError, KeyError, TypeError):
            description = None
        if description != DESCRIPTION:
            raise DataError(f"{annotation_file} is not a synthetic set and is left alone; choose another --output")
    if not folder.is_dir():
        return
    # Leftovers of a write that was killed begin with a dot.
    others = sorted(path.name for path in folder.iterdir() if path.name not in names and not path.name.startswith("."))
    if others:
        raise DataError(
            f"{folder} holds {len(others)} files that are not of this set ({others[0]}, …) and are left alone; "
            "choose another --output or remove the folder"
        )


def main(argv: Sequence[str]) -> None:
    """Write one split and print what was written."""
    parser = Parser(prog="python -m demo.dataset", description=__doc__)
    parser.add_argument("--output", type=Path, default=OUTPUT, help=f"folder of the set (default {OUTPUT})")
    parser.add_argument("--split", choices=sorted(SPLITS), default="val", help="which split (default val)")
    parser.add_argument("--images", type=_count, help="how many pictures (default: the split's own number)")
    parser.add_argument("--seed", type=_count, help="default: the split's own seed")
    args = parser.parse_args(argv)
    split = SPLITS[args.split]
    images = split.images if args.images is None else args.images
    seed = split.seed if args.seed is None else args.seed
    print(json.dumps(write_dataset(args.output, args.split, images=images, seed=seed)))


def _count(text: str) -> int:
    value = int(text) if text.isdecimal() else 0
    if value < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number above 0, got {text!r}")
    return value


if __name__ == "__main__":
    run(main)
