"""The detections of all scored images, with what was seen on the way."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from detector.spec import DetectorSpec
from postprocess.metrics.metrics_file import Squeeze
from postprocess.outputs.detections import to_detections
from postprocess.outputs.results import ImageResult
from postprocess.rows.columns import Detection


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
    squeeze = Squeeze(len(small), sum(small) / len(small)) if small else None
    # In the order of the images: results come as their batches are full.
    known = {image_id: pictures[image_id] for image_id in image_ids.values() if image_id in pictures}
    return Collected(rows, used - len(rows), squeeze, known)
