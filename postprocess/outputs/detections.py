"""Output rows on the canvas -> COCO detections on the image, of one image and of all."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pydantic
from numpy.typing import NDArray

from detector.geometry import Letterbox
from detector.spec import DetectorSpec
from postprocess.outputs.results import ImageResult
from postprocess.rows.columns import Detection


class Squeeze(pydantic.BaseModel):
    """Images that the canvas makes smaller than the training framework would run them.

    Attributes:
        images: how many.
        mean_scale: their mean ratio of longer sides, below 1.
    """

    images: int
    mean_scale: float


@dataclass(frozen=True, slots=True)
class Collected:
    """Detections in the order of the images.

    Attributes:
        rows: the detections.
        hidden: boxes dropped because they lay wholly in the padding of their canvas.
        squeeze: what the canvas makes smaller; None: nothing.
        pictures: hex SHA-256 of the image file by COCO image id, as far as the manifest has it.
    """

    rows: list[Detection]
    hidden: int
    squeeze: Squeeze | None
    pictures: dict[int | str, str]


def collect(
    results: Iterable[ImageResult],
    spec: DetectorSpec,
    image_ids: Mapping[str, int | str],
    category_ids: Sequence[int | str],
) -> Collected:
    """Map the outputs of the wanted images back to the images.

    Args:
        results: one per image, in any order, each with its canvas.
        spec: of the detector.
        image_ids: COCO image id per file name of the wanted images, in the order of the detections.
        category_ids: COCO category id per label.
    """
    by_image: dict[int | str, list[Detection]] = {}
    pictures: dict[int | str, str] = {}
    used = 0
    scales = []
    for result in results:
        image_id = image_ids.get(result.image.file_name)
        if image_id is None:
            continue
        used += int((result.dets[:, 4] > 0).sum())
        if result.image.image_sha256 is not None:
            pictures[image_id] = result.image.image_sha256
        scales.append(spec.squeeze(result.image.image))
        by_image[image_id] = to_detections(
            result.labels,
            result.dets,
            image_id=image_id,
            letterbox=result.image.letterbox(result.canvas),
            category_ids=category_ids,
            inclusive=spec.decode.inclusive,
            clip=spec.decode.clip_to_image,
        )
    rows = [row for image_id in image_ids.values() for row in by_image[image_id]]
    small = [scale for scale in sorted(scales) if scale < 1]
    squeeze = Squeeze(images=len(small), mean_scale=sum(small) / len(small)) if small else None
    # In the order of the images: results come as their batches are full.
    known = {image_id: pictures[image_id] for image_id in image_ids.values() if image_id in pictures}
    return Collected(rows, used - len(rows), squeeze, known)


def to_detections(
    labels: NDArray[np.int64],
    dets: NDArray[np.float32],
    *,
    image_id: int | str,
    letterbox: Letterbox,
    category_ids: Sequence[int | str],
    inclusive: bool = False,
    clip: bool = True,
) -> list[Detection]:
    """Convert the used rows of one image.

    A row is used if its score is above 0: unused rows are zero, but the Ascend operator leaves their labels undefined.
    Boxes are clipped to the image; one that keeps no width or no height there lay wholly in the padding and is dropped
    (mmdetection, which clips to the image before its NMS, drops it too).

    Args:
        labels: (N,) 0-based classes.
        dets: (N, 5) x1 y1 x2 y2 score, canvas pixels.
        image_id: COCO id of the image.
        letterbox: where the image lies on the canvas.
        category_ids: COCO category id per label.
        inclusive: a box includes its last pixel, as in maskrcnn-benchmark and mmdetection 1.x. It is clipped to the
            last pixel of the resized image, and its width is x2 - x1 + 1 in image pixels: where the image was enlarged
            a clipped box ends up to one pixel beyond it, as there.
        clip: boxes end at the image; otherwise at the canvas, padding included.

    Returns:
        In row order; `bbox` is x y width height in image pixels.
    """
    used = dets[:, 4] > 0
    # float64 from here on, so that width and height are exactly x2 - x1 and y2 - y1.
    boxes = letterbox.to_image(dets[used, :4], clip=clip).astype(np.float64)
    sizes = boxes[:, 2:] - boxes[:, :2]
    visible = (sizes > 0).all(axis=1)
    if inclusive:
        boxes = np.minimum(boxes, _last_pixel(letterbox))
        sizes = boxes[:, 2:] - boxes[:, :2] + 1
    bboxes = np.concatenate([boxes[:, :2], sizes], axis=1)[visible].tolist()
    categories = [category_ids[label] for label in labels[used][visible].tolist()]
    scores = dets[used, 4][visible].astype(np.float64).tolist()
    return [
        {"image_id": image_id, "category_id": category_id, "bbox": bbox, "score": score}
        for category_id, bbox, score in zip(categories, bboxes, scores, strict=True)
    ]


def _last_pixel(letterbox: Letterbox) -> NDArray[np.float64]:
    """(1, 4) x y x y of the last pixel of the resized image, in image pixels."""
    x, y = letterbox.left + letterbox.resized.width - 1, letterbox.top + letterbox.resized.height - 1
    return letterbox.to_image(np.array([[x, y, x, y]], np.float32)).astype(np.float64)
