"""DecodeSpec: from head outputs to detections."""

from typing import Annotated, Literal

import pydantic
from pydantic import Field

from detector.card.sheet import NMS_ROWS
from detector.spec.strict_model import StrictModel

Candidates = Annotated[int, Field(ge=1, le=2**31 - 1)]  # the K of an operator TopK, int32 on the card


class DecodeSpec(StrictModel):
    """From head outputs to detections.

    Attributes:
        score: of an FCOS detection: "product" of class probability and centerness, or their "geometric_mean" (the root
            of the product). Detectors without centerness score by class probability.
        score_threshold: what a candidate must exceed.
        threshold_on: the threshold applies to the "class" probability, before centerness, or to the final "score".
        candidates: what is counted: "pairs" (location, class); "locations" with all their classes, best class first;
            "best_class": every location with its best class only.
        rank_by: candidates are ranked by "class" probability or by final "score".
        candidates_per_level: candidates kept per pyramid level; None: no limit.
        candidates_per_cell: at most as many pairs of a level as it has locations (cvpods).
        candidates_total: candidates kept over all levels; None: no limit.
        nms: how overlap is measured, per class: "iou"; "iou_plus_one": sides are x2 - x1 + 1; "areas_plus_one": areas
            only are of such sides; "diou_plus_one": sides as before, minus the squared distance of the centres over
            that of the enclosing box's corners.
        drop_empty: boxes without extent are no candidates.
        nms_score_threshold: what the final score of a box must exceed to take part in suppression.
        iou_threshold: a box is suppressed if its overlap with a better one of its class exceeds this.
        max_detections: rows of the outputs, at most 1000 (the Ascend NMS operator's limit).
        clip: boxes are clipped to the canvas "before_nms" or "after_nms".
        last_pixel: boxes are clipped to size - 1, the last pixel, instead of size.
        inclusive: a box includes its last pixel: its width in the result is x2 - x1 + 1.
        clip_to_image: boxes of the result end at the image; otherwise they may reach into the padding, as those of
            mmdetection 3.x do where a step of its test pipeline pads.
    """

    score: Literal["product", "geometric_mean"] = "product"
    score_threshold: Annotated[float, Field(ge=0, lt=1)] = 0.05
    threshold_on: Literal["class", "score"] = "class"
    candidates: Literal["pairs", "locations", "best_class"] = "pairs"
    rank_by: Literal["class", "score"] = "class"
    candidates_per_level: Candidates | None = 1000
    candidates_per_cell: bool = False
    candidates_total: Candidates | None = None
    drop_empty: bool = True
    nms: Literal["iou", "iou_plus_one", "areas_plus_one", "diou_plus_one"] = "iou"
    nms_score_threshold: Annotated[float, Field(ge=0, lt=1)] = 0.0
    iou_threshold: Annotated[float, Field(ge=0, le=1)] = 0.5
    max_detections: Annotated[int, Field(ge=1, le=NMS_ROWS)] = 100
    clip: Literal["before_nms", "after_nms"] = "before_nms"
    last_pixel: bool = False
    inclusive: bool = False
    clip_to_image: bool = True

    @pydantic.model_validator(mode="after")
    def _nms_fits_candidates(self) -> "DecodeSpec":
        if self.nms in ("areas_plus_one", "diou_plus_one") and (
            self.candidates != "best_class" or self.candidates_total is None or self.candidates_total > 4096
        ):
            raise ValueError(
                f"nms {self.nms!r} compares every two candidates: it needs candidates 'best_class' and "
                "candidates_total of at most 4096"
            )
        if self.nms in ("areas_plus_one", "diou_plus_one") and self.nms_score_threshold > 0:
            raise ValueError(f"nms {self.nms!r} has no score threshold of its own: set nms_score_threshold to 0")
        return self
