"""GraphSpec: how to read an ONNX that someone else exported."""

from typing import Literal

import pydantic

from detector.part import Part


class GraphSpec(Part):
    """How to read an ONNX that someone else exported; `convert` adopts it.

    Attributes:
        input: name of the image input; None: the graph's only one.
        outputs: names of the outputs by role: dets (x1 y1 x2 y2 score) and labels; boxes, scores and labels; or boxes
            and class scores before suppression. None: the outputs are called so.
        boxes: what the four numbers of a box are; "xywh" starts at the upper left corner.
        units: of the boxes: "pixels" of the canvas, or "fraction" of its width and height.
        labels: what a label is: the position in `classes`, counted "from_0" or "from_1" (0 is the background), or one
            of the spec's "category_ids". Rows of the background or of another id are left out. Of class scores: what a
            column is.
        class_axis: of class scores (batch, ., .): 1 or 2; None: told by the sizes.
    """

    input: str | None = None
    outputs: dict[Literal["dets", "boxes", "scores", "labels"], str] | None = None
    boxes: Literal["xyxy", "xywh", "cxcywh", "yxyx"] | None = None
    units: Literal["pixels", "fraction"] | None = None
    labels: Literal["from_0", "from_1", "category_ids"] | None = None
    class_axis: Literal[1, 2] | None = None

    @pydantic.field_validator("outputs")
    @classmethod
    def _outputs_are_complete(cls, outputs: dict[str, str] | None) -> dict[str, str] | None:
        kinds = ({"dets", "labels"}, {"boxes", "scores", "labels"}, {"boxes", "scores"})
        if outputs is not None and set(outputs) not in kinds:
            raise ValueError(
                "must name dets and labels; boxes, scores and labels; or boxes and scores, "
                f"got {', '.join(sorted(outputs)) or 'nothing'}"
            )
        if outputs is not None and len(set(outputs.values())) < len(outputs):
            raise ValueError(
                f"names one output twice: {', '.join(f'{role}: {name}' for role, name in outputs.items())}"
            )
        return outputs
