"""Which canvas an image is placed on, where a model was compiled for several."""

import math
from collections.abc import Iterable
from typing import Any

from detector.geometry.letterbox import Letterbox, Size


def place_on_best(image: Size, canvases: Iterable[Size], **sizing: Any) -> Letterbox:
    """The image on the canvas where it is largest; of several such on the smallest one.

    Args:
        image: size of the image.
        canvases: to choose from.
        sizing: keywords of `Letterbox.fit`.
    """
    boxes = [Letterbox.fit(image, canvas, **sizing) for canvas in canvases]
    return max(boxes, key=lambda box: (math.prod(box.resized), -math.prod(box.canvas)))
