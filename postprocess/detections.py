"""One image's output rows on the canvas -> COCO detections on the image."""

import numpy as np
from numpy.typing import NDArray

from detector.geometry import Letterbox
from postprocess.coco import Detection


def to_detections(
    labels: NDArray[np.int64],
    dets: NDArray[np.float32],
    *,
    image_id: int,
    letterbox: Letterbox,
    category_ids: NDArray[np.int64],
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
        category_ids: (num_classes,) COCO category id per label.

    Returns:
        In row order; `bbox` is x y width height in image pixels.
    """
    used = dets[:, 4] > 0
    # float64 from here on, so that width and height are exactly x2 - x1 and y2 - y1.
    boxes = letterbox.to_image(dets[used, :4]).astype(np.float64)
    sizes = boxes[:, 2:] - boxes[:, :2]
    visible = (sizes > 0).all(axis=1)
    bboxes = np.concatenate([boxes[:, :2], sizes], axis=1)[visible].tolist()
    categories = category_ids[labels[used][visible]].tolist()
    scores = dets[used, 4][visible].astype(np.float64).tolist()
    return [
        {"image_id": image_id, "category_id": category_id, "bbox": bbox, "score": score}
        for category_id, bbox, score in zip(categories, bboxes, scores, strict=True)
    ]
