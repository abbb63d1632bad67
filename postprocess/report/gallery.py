"""Images for the report: which ones, what was found on them and what was missed, and their thumbnails."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray
from pycocotools import mask

from detector.errors import DataError
from detector.geometry import Size
from detector.images.read_image import Image, read_head, read_image
from detector.spec.image import Exif
from postprocess.image_names import parts_of
from postprocess.pictures import require_picture
from postprocess.report.scored import Scored
from postprocess.rows.annotation_rows import AnnotatedImage
from postprocess.rows.columns import AnnotatedObject, Detection, Detections, Objects

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


@dataclass(frozen=True, slots=True)
class Box:
    """One drawn box: x y width height in thumbnail pixels, its class, its score (None: an annotated object)."""

    xywh: tuple[float, float, float, float]
    name: str
    score: float | None
    standing: Standing


@dataclass(frozen=True, slots=True)
class Pair:
    """One annotated image, its objects and its detections, in the orders of their files."""

    image: AnnotatedImage
    truth: Sequence[AnnotatedObject]
    found: Sequence[Detection]


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


def build_gallery(scored: Scored, folder: Path, *, count: int) -> Gallery:
    """Choose and read the images of the report.

    Args:
        scored: the evaluation; only objects of the categories that it scored are shown.
        folder: of the images; names as annotated, or without their folders.
        count: images spread over the list; the one with the most missed objects is added if it is not among them.

    Raises:
        DataError: an image is missing, unreadable, unnamed, not of the annotated size, or not the preprocessed one.
    """
    annotations, counts = scored.annotations, scored.record.counts
    categories = {item.id for item in scored.record.classes}
    objects, detections = Objects.of(annotations.objects), Detections.of(scored.detections)
    truth_of, found_of = objects.rows_of_images(), detections.rows_of_images()
    whole = counts.images == counts.annotated_images

    def pair(image: AnnotatedImage) -> Pair:
        truth = [objects.row(row) for row in truth_of.get(image.id, ())]
        found = [detections.row(row) for row in found_of.get(image.id, ())]
        return Pair(image, [item for item in truth if item["category_id"] in categories], found)

    images = [image for image in annotations.images.values() if whole or image.id in found_of]
    chosen = [images[index] for index in spread(len(images), count)]
    worst = _worst(map(pair, images))
    added = [worst] if worst is not None and worst not in chosen else []
    tiles = []
    for image in [*chosen, *added]:
        path = _path(folder, image, annotations.source)
        require_picture(path, scored.pictures.get(image.id))
        tiles.append(_tile(path, pair(image), annotations.categories, worst=image is worst))
    return Gallery(tuple(tiles), len(images), whole=whole, worst_added=bool(added))


def spread(total: int, count: int) -> list[int]:
    """`count` indices evenly over range(total), from the middles of equal parts; all of them if there are no more."""
    if count >= total:
        return list(range(total))
    return [(2 * index + 1) * total // (2 * count) for index in range(count)]


def match(truth: Sequence[AnnotatedObject], found: Sequence[Detection]) -> tuple[list[Standing], list[Standing]]:
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


def _overlaps(truth: Sequence[AnnotatedObject], found: Sequence[Detection]) -> NDArray[np.float64]:
    """(found, truth) IoU, with a crowd region the part of the detection inside it; 0 between classes."""
    if not truth or not found:
        return np.zeros((len(found), len(truth)))
    boxes, objects = (np.array([item["bbox"] for item in items], np.float64) for items in (found, truth))
    overlap = np.asarray(mask.iou(boxes, objects, [item["iscrowd"] for item in truth]), np.float64)
    detected, annotated = (np.array([item["category_id"] for item in items]) for items in (found, truth))
    return np.where(detected[:, None] == annotated[None, :], overlap, 0.0)


def _worst(pairs: Iterable[Pair]) -> AnnotatedImage | None:
    """The first image with the most missed objects; None if nothing was missed."""
    best, most = None, 0
    for pair in pairs:
        if len(pair.truth) > most:
            missed = match(pair.truth, pair.found)[0].count("alone")
            if missed > most:
                best, most = pair.image, missed
    return best


def _path(folder: Path, image: AnnotatedImage, source: str) -> Path:
    if image.file_name is None:
        raise DataError(f"{source}: image {image.id} has no file_name; leave out --image_src_path")
    parts = parts_of(image.file_name)
    paths = [folder.joinpath(*parts[start:]) for start in range(len(parts))]  # as `postprocess.image_names` joins them
    found = next((path for path in paths if path.is_file()), None)
    if found is None:
        below = [path for path in folder.rglob("*") if path.name == parts[-1] and path.is_file()]
        found = below[0] if len(below) == 1 else None
    if found is None:
        raise DataError(f"{paths[0]} not found: {source} names it; --image_src_path takes the folder that was scored")
    return found


def _tile(path: Path, pair: Pair, names: Mapping[int | str, str], *, worst: bool) -> Tile:
    pixels = _pixels(path, pair.image.size)
    size = Size(*pixels.shape[:2])
    if pair.image.size not in (None, size):
        raise DataError(f"{path} is {size} (height x width), annotated as {pair.image.size}: another image")
    scale = min(1.0, LONGEST_SIDE / max(size))
    thumbnail = Size(max(1, round(size.height * scale)), max(1, round(size.width * scale)))

    def box(item: AnnotatedObject | Detection, score: float | None, standing: Standing) -> Box:
        x, y, width, height = (value * scale for value in item["bbox"])
        return Box((x, y, width, height), names[item["category_id"]], score, standing)

    objects, standings = match(pair.truth, pair.found)
    ranked = sorted(zip(pair.found, standings, strict=True), key=lambda row: -row[0]["score"])
    drawn = [row for row in ranked if row[0]["score"] >= SHOWN_SCORE] or ranked[:FEW]
    return Tile(
        file_name=pair.image.file_name or path.name,
        image=size,
        thumbnail=thumbnail,
        jpeg=_jpeg(pixels, thumbnail),
        truth=tuple(box(item, None, standing) for item, standing in zip(pair.truth, objects, strict=True)),
        found=tuple(box(item, item["score"], standing) for item, standing in reversed(drawn)),
        worst=worst,
    )


def _pixels(path: Path, annotated: Size | None) -> Image:
    """As annotated: with the EXIF orientation applied or, of models whose framework ignores it, without.

    An image of another size is refused by its header, before it is decoded.
    """
    header = read_head(path)
    if annotated not in (None, header.size) and not (header.turned and annotated == header.size[::-1]):
        raise DataError(f"{path} is {header.size} (height x width), annotated as {annotated}: another image")
    pixels = _decoded(path, "applied")
    if annotated in (None, pixels.shape[:2]):
        return pixels
    return _decoded(path, "ignored")


def _decoded(path: Path, exif: Exif) -> Image:
    try:
        return read_image(path, exif=exif)
    except (
        DataError
    ):  # models whose framework reads with Pillow may see more, and what is wrong with others it says too
        return read_image(path, decoder="pillow", exif=exif)


def _jpeg(image: Image, size: Size) -> bytes:
    # INTER_AREA averages: the only filter of cv2 that does not alias when it shrinks.
    small = cv2.resize(image, size[::-1], interpolation=cv2.INTER_AREA)
    done, data = cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    assert done, "cv2 encodes every 8-bit image"
    return bytes(data)
