"""BatchMultiClassNMS as the card computes it, in numpy: every tensor in float16, boxes scaled, strict comparisons.

Facts are those of docs/facts/atc.md, section 6.2 (kernel of CANN 8.1 for 310P): float16 throughout; boxes times 0.1 and
far corners minus 1 before, plus 1 and times 10 after; about 4080 candidates per class; a row is kept if score > limit;
best of all classes first; unused rows zero but for their class. With t' = float16(t / (1 + t)) of the IoU limit t a box
is suppressed if intersection > float16(float16(area + area) * t'): IoU > t but for roundings (settled: do_nms_compute).

UNCONFIRMED, no card was at hand: the roundings inside intersection and area (here: one after every operation, sides
with the 1 put back), the order of equal scores (here: lower class, lower row), and the kernels of other CANN releases.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper

from detector.card.sheet import NMS_ROWS
from detector.errors import SpecError

Floats = NDArray[np.floating[Any]]

CANDIDATES_PER_CLASS = 4080
SCALE, BACK, FAR_SHIFT = 0.1, 10.0, 1.0
# The card leaves what happens to be there; this is no class of any detector, so that whoever reads it notices.
UNUSED_CLASS = 12344.0


@dataclass(frozen=True, slots=True)
class CardNms:
    """The operator.

    Attributes:
        score_threshold: a row is kept if its score exceeds this.
        iou_threshold: a box is suppressed if its overlap with a better one of its class exceeds this.
        max_size_per_class: rows of one class, at most 1000.
        max_total_size: rows of all classes, M, at most 1000.
        kind: float16 as on the card; float32: the same decisions without its rounding and scaling.
        scales_boxes: the card's scaling, which is of float16 only; False shows what it costs.

    Raises:
        SpecError: more rows than the kernel takes, or none.
    """

    score_threshold: float
    iou_threshold: float
    max_size_per_class: int
    max_total_size: int
    kind: type[np.float16] | type[np.float32] = np.float16
    scales_boxes: bool = True

    def __post_init__(self) -> None:
        for name in ("max_size_per_class", "max_total_size"):
            if not 1 <= getattr(self, name) <= NMS_ROWS:
                raise SpecError(
                    f"{name} is {getattr(self, name)}, the card's operator takes 1 to {NMS_ROWS}: set "
                    "decode.max_detections of the spec"
                )

    @classmethod
    def of_node(cls, node: onnx.NodeProto, kind: type[np.float16] | type[np.float32] = np.float16) -> "CardNms":
        """The operator that a node of a lowered graph stands for."""
        values = {each.name: helper.get_attribute_value(each) for each in node.attribute}
        return cls(**values, kind=kind)

    def __call__(self, boxes: Floats, scores: Floats) -> tuple[Floats, Floats, Floats, NDArray[np.int32]]:
        """Suppress.

        Args:
            boxes: (B, N, 1, 4) x1 y1 x2 y2 in pixels.
            scores: (B, N, C).

        Returns:
            nmsed_boxes (B, M, 4), nmsed_scores (B, M), nmsed_classes (B, M), all of `kind`, and nmsed_num (B,).
        """
        images, rows = len(boxes), self.max_total_size
        found_boxes = np.zeros((images, rows, 4), self.kind)
        found_scores = np.zeros((images, rows), self.kind)
        classes = np.full((images, rows), UNUSED_CLASS, self.kind)
        counts = np.zeros(images, np.int32)
        for image in range(images):
            near, far = self._into_kernel(boxes[image, :, 0].astype(self.kind))
            row, label, score = self._of_image(near, far, scores[image].astype(self.kind))
            counts[image] = used = len(row)
            found_boxes[image, :used] = self._out_of_kernel(near[row], far[row])
            found_scores[image, :used] = score
            classes[image, :used] = label
        return found_boxes, found_scores, classes, counts

    @property
    def _is_scaled(self) -> bool:
        return self.scales_boxes and self.kind is np.float16

    def _into_kernel(self, boxes: Floats) -> tuple[Floats, Floats]:
        """Near and far corners (N, 2) in the kernel's units."""
        if not self._is_scaled:
            return boxes[:, :2], boxes[:, 2:]
        scaled = boxes * self.kind(SCALE)
        return scaled[:, :2], scaled[:, 2:] - self.kind(FAR_SHIFT)

    def _out_of_kernel(self, near: Floats, far: Floats) -> Floats:
        if not self._is_scaled:
            return np.concatenate([near, far], 1)
        return np.concatenate([near, far + self.kind(FAR_SHIFT)], 1) * self.kind(BACK)

    def _of_image(
        self, near: Floats, far: Floats, scores: Floats
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], Floats]:
        """Candidate, class and score of each row kept, best first."""
        limit = self.kind(self.score_threshold)
        kept, labels = [], []
        # What the score filter drops suppresses nothing that it leaves: it has lower scores.
        for label in np.flatnonzero((scores > limit).any(0)):
            column = scores[:, label]
            candidates = np.flatnonzero(column > limit)
            order = candidates[np.argsort(-column[candidates], kind="stable")[:CANDIDATES_PER_CLASS]]
            best = order[self._greedy(near[order], far[order])]
            kept.append(best)
            labels.append(np.full(len(best), label))
        if not kept:
            return np.zeros(0, np.int64), np.zeros(0, np.int64), scores[:0, 0]
        row, label_of = np.concatenate(kept), np.concatenate(labels)
        score = scores[row, label_of]
        first = np.argsort(-score, kind="stable")[: self.max_total_size]
        return row[first], label_of[first], score[first]

    def _greedy(self, near: Floats, far: Floats) -> list[int]:
        """Positions that survive, of boxes in descending score."""
        extra = self.kind(FAR_SHIFT if self._is_scaled else 0)
        sides = np.maximum(far - near + extra, self.kind(0))
        with np.errstate(over="ignore"):  # in float16 without the scaling: 256 x 256 px is infinite
            area = sides[:, 0] * sides[:, 1]
        alive = np.arange(len(near))
        kept: list[int] = []
        while len(alive) and len(kept) < self.max_size_per_class:
            first, rest = alive[0], alive[1:]
            kept.append(int(first))
            shared = np.minimum(far[first], far[rest]) - np.maximum(near[first], near[rest]) + extra
            shared = np.maximum(shared, self.kind(0))
            with np.errstate(over="ignore"):
                both = shared[:, 0] * shared[:, 1]
            alive = rest[~self.suppresses(both, area[first], area[rest])]
        return kept

    def suppresses(self, both: Floats, area: Floats, areas: Floats) -> NDArray[np.bool_]:
        """Whether a box suppresses others: the one model of the overlap, in either kind.

        The kernel has no division (do_nms_compute: viou gives the intersections, vaadd the sums of areas, vmuls the
        product with t / (1 + t), vcmpv_gt compares); without rounding that is IoU > t, and false of boxes without area.

        Args:
            both: (K,) intersections with it.
            area: of the box.
            areas: (K,) of the others.
        """
        with np.errstate(over="ignore"):
            return np.asarray(both > (area + areas) * self.kind(self.iou_threshold / (1 + self.iou_threshold)))
