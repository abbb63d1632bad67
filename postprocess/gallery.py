"""Images for the report: which ones, what was found on them and what was missed, and their thumbnails."""

import os
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray
from pycocotools import mask

from detector.errors import DataError
from detector.geometry import Size
from postprocess.coco import AnnotatedImage, AnnotatedObject, Annotations, Detection

# Least score of a drawn detection: what mmdetection's image demo draws (`--pred-score-thr`, 0.3).
SHOWN_SCORE = 0.3
# Detections drawn faintly where none reaches that score.
FEW = 3
# Overlap at which a detection counts as finding an object: the easiest of COCO's ten.
FOUND_IOU = 0.5
# Longest side of a thumbnail in pixels, and its JPEG quality (cv2's 0..100): some 40 kB an image.
LONGEST_SIDE = 480
JPEG_QUALITY = 80

# How a box stands to the other side: matched; alone (a missed object, or a detection of nothing); apart (not counted:
# a crowd region, a detection inside one, a detection below SHOWN_SCORE).
Standing = Literal["matched", "alone", "apart"]
Row = TypeVar("Row", AnnotatedObject, Detection)


@dataclass(frozen=True, slots=True)
class Box:
    """One drawn box: x y width height in thumbnail pixels, its class, its score (None: an annotated object)."""

    xywh: tuple[float, float, float, float]
    name: str
    score: float | None
    standing: Standing


@dataclass(frozen=True, slots=True)
class Tile:
    """One image of the gallery.

    Attributes:
        file_name: as annotated.
        image: its size.
        thumbnail: size of the thumbnail.
        jpeg: its bytes.
        truth: annotated objects.
        found: drawn detections, best last, so that the best lies on top.
        worst: the image with the most missed objects.
    """

    file_name: str
    image: Size
    thumbnail: Size
    jpeg: bytes
    truth: tuple[Box, ...]
    found: tuple[Box, ...]
    worst: bool


@dataclass(frozen=True, slots=True)
class Gallery:
    """Tiles, and how they were chosen.

    Attributes:
        tiles: evenly spread over the image list; the worst image comes last unless it is among them.
        candidates: how many images they were chosen from.
        whole: the candidates are all annotated images; otherwise those of a subset that have a detection, because
            metrics.json does not list a subset's images.
        worst_added: the worst image is a tile that the spread had not chosen.
    """

    tiles: tuple[Tile, ...]
    candidates: int
    whole: bool
    worst_added: bool


def build_gallery(
    folder: Path,
    annotations: Annotations,
    detections: Sequence[Detection],
    *,
    category_ids: Collection[int],
    count: int,
    whole: bool,
) -> Gallery:
    """Choose and read the images of the report.

    Args:
        folder: of the images; names as annotated, or without their folders.
        annotations: the truth.
        detections: the scored ones.
        category_ids: categories that were scored.
        count: images spread over the list; the one with the most missed objects is added if it is not among them.
        whole: all annotated images were scored.

    Raises:
        DataError: an image is missing, unreadable, unnamed or not of the annotated size.
    """
    truth_of = _by_image(item for item in annotations.objects if item["category_id"] in category_ids)
    found_of = _by_image(detections)
    candidates = [image for image in annotations.images.values() if whole or image.id in found_of]
    chosen = [candidates[index] for index in spread(len(candidates), count)]
    worst = _worst(candidates, truth_of, found_of)
    worst_added = worst is not None and worst not in chosen
    shown = [*chosen, worst] if worst is not None and worst_added else chosen
    tiles = [
        _tile(
            _path(folder, image, annotations.source),
            image,
            truth_of.get(image.id, []),
            found_of.get(image.id, []),
            annotations.categories,
            worst=image is worst,
        )
        for image in shown
    ]
    return Gallery(tuple(tiles), len(candidates), whole=whole, worst_added=worst_added)


def spread(total: int, count: int) -> list[int]:
    """`count` indices evenly over range(total), from the middles of equal parts; all of them if there are no more."""
    if count >= total:
        return list(range(total))
    return [(2 * index + 1) * total // (2 * count) for index in range(count)]


def match(
    truth: Sequence[AnnotatedObject], found: Sequence[Detection]
) -> tuple[list[Standing], list[Standing]]:
    """How objects and detections of one image stand to each other.

    Greedy, as COCO's evaluation: detections of at least SHOWN_SCORE, best first, each take the free object of their
    class that they overlap most, from FOUND_IOU on; what is left inside a crowd region does not count.

    Returns:
        Standing per object and per detection, in the given orders.
    """
    objects: list[Standing] = ["apart" if item["iscrowd"] else "alone" for item in truth]
    boxes: list[Standing] = ["apart"] * len(found)
    counted = [index for index, item in enumerate(found) if item["score"] >= SHOWN_SCORE]
    overlap = _overlaps(truth, found)
    for index in sorted(counted, key=lambda index: -found[index]["score"]):
        free = np.array([standing == "alone" for standing in objects], np.bool_)
        best = int(np.argmax(np.where(free, overlap[index], -1))) if free.any() else None
        if best is not None and overlap[index, best] >= FOUND_IOU:
            objects[best] = boxes[index] = "matched"
        elif not any(overlap[index, k] >= FOUND_IOU for k, item in enumerate(truth) if item["iscrowd"]):
            boxes[index] = "alone"
    return objects, boxes


def read_image(path: Path) -> NDArray[np.uint8]:
    """(H, W, 3) uint8 BGR, EXIF orientation applied, as the network saw it.

    Raises:
        DataError: the file is missing or no image.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise DataError(f"cannot read image {path}: {error.strerror}; check --image_src_path") from error
    image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR) if data else None
    if image is None:
        raise DataError(f"{path} is not an image that can be decoded ({len(data)} bytes); replace the file")
    return np.asarray(image, np.uint8)


def _overlaps(truth: Sequence[AnnotatedObject], found: Sequence[Detection]) -> NDArray[np.float64]:
    """(found, truth) IoU, with a crowd region the part of the detection inside it; 0 between classes."""
    if not truth or not found:
        return np.zeros((len(found), len(truth)))
    boxes, objects = (np.array([item["bbox"] for item in items], np.float64) for items in (found, truth))
    overlap = np.asarray(mask.iou(boxes, objects, [item["iscrowd"] for item in truth]), np.float64)
    detected, annotated = (np.array([item["category_id"] for item in items]) for items in (found, truth))
    return np.where(detected[:, None] == annotated[None, :], overlap, 0.0)


def _by_image(rows: Iterable[Row]) -> Mapping[int, list[Row]]:
    result: dict[int, list[Row]] = defaultdict(list)
    for row in rows:
        result[row["image_id"]].append(row)
    return result


def _worst(
    candidates: Sequence[AnnotatedImage],
    truth_of: Mapping[int, list[AnnotatedObject]],
    found_of: Mapping[int, list[Detection]],
) -> AnnotatedImage | None:
    """The first image with the most missed objects; None if nothing was missed."""
    best, most = None, 0
    for image in candidates:
        truth = truth_of.get(image.id, [])
        if len(truth) > most:
            missed = match(truth, found_of.get(image.id, []))[0].count("alone")
            if missed > most:
                best, most = image, missed
    return best


def _path(folder: Path, image: AnnotatedImage, source: str) -> Path:
    if image.file_name is None:
        raise DataError(f"{source}: image {image.id} has no file_name; leave out --image_src_path")
    whole = folder / image.file_name
    return whole if whole.exists() else folder / os.path.basename(image.file_name)


def _tile(
    path: Path,
    image: AnnotatedImage,
    truth: Sequence[AnnotatedObject],
    found: Sequence[Detection],
    names: Mapping[int, str],
    *,
    worst: bool,
) -> Tile:
    pixels = read_image(path)
    size = Size(*pixels.shape[:2])
    if image.size not in (None, size):
        raise DataError(f"{path} is {size} (height x width), it is annotated as {image.size}: another image")
    scale = min(1.0, LONGEST_SIDE / max(size))
    thumbnail = Size(max(1, round(size.height * scale)), max(1, round(size.width * scale)))
    objects, standings = match(truth, found)
    drawn = sorted(range(len(found)), key=lambda index: -found[index]["score"])
    drawn = [index for index in drawn if found[index]["score"] >= SHOWN_SCORE] or drawn[:FEW]
    return Tile(
        file_name=image.file_name or path.name,
        image=size,
        thumbnail=thumbnail,
        jpeg=_jpeg(pixels, thumbnail),
        truth=tuple(
            Box(_scaled(item["bbox"], scale), names[item["category_id"]], None, standing)
            for item, standing in zip(truth, objects, strict=True)
        ),
        found=tuple(
            Box(_scaled(item["bbox"], scale), names[item["category_id"]], item["score"], standings[index])
            for index in reversed(drawn)
            for item in (found[index],)
        ),
        worst=worst,
    )


def _scaled(bbox: Sequence[float], scale: float) -> tuple[float, float, float, float]:
    x, y, width, height = (value * scale for value in bbox)
    return x, y, width, height


def _jpeg(image: NDArray[np.uint8], size: Size) -> bytes:
    # INTER_AREA averages: the only filter of cv2 that does not alias when it shrinks.
    small = cv2.resize(image, size[::-1], interpolation=cv2.INTER_AREA)
    done, data = cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    assert done, "cv2 encodes every 8-bit image"
    return bytes(data)
