"""GraphSpec: how to read an ONNX that someone else exported."""

from typing import Annotated, Literal

import pydantic
from pydantic import Field

from detector.spec.strict_model import StrictModel
from detector.terminal.text import shortened

Column = Literal["box", "objectness", "classes", "score", "label", "image"]


class GraphSpec(StrictModel):
    """How to read an ONNX that someone else exported; `convert` adopts it.

    Attributes:
        input: name of the image input; None: the graph's only one.
        outputs: names of the outputs by role: dets (x1 y1 x2 y2 score) and labels; boxes, scores and labels; boxes
            and class scores before suppression; or "combined", whose columns the next key says. None: the outputs are
            called so, or there is one only.
        columns: of one combined output, in its order: "box" (four numbers), "objectness" (times which the class scores
            count), "classes" (a score of each), "score" and "label" (of the box's one class), "image" (its number in
            the batch; batch size 1 only); a number: so many that are left out, such as coefficients of masks. YOLOv5:
            [box, objectness, classes]; YOLOv8: [box, classes]; detections: [box, score, label].
        boxes: what the four numbers of a box are; "xywh" starts at the upper left corner.
        units: of the boxes: "pixels" of the canvas, or "fraction" of its width and height.
        labels: what a label is: the position in `classes`, counted "from_0" or "from_1" (0 is the background), or one
            of the spec's "category_ids". Rows of the background or of another id are left out. Of class scores: what a
            column is.
        scores: what scores are: a "probability", taken as it is; or what makes one of it, "sigmoid" or "softmax" (over
            the columns of all classes and of the background). Objectness gets a sigmoid under both. None: asked where
            the graph ends in a layer without either.
        class_axis: of class scores (batch, ., .), or of a combined output's columns: 1 or 2; None: told by the sizes.
    """

    input: str | None = None
    outputs: dict[Literal["dets", "boxes", "scores", "labels", "combined"], str] | None = None
    columns: tuple[Column | Annotated[int, Field(ge=1, le=10_000)], ...] | None = None
    boxes: Literal["xyxy", "xywh", "cxcywh", "yxyx"] | None = None
    units: Literal["pixels", "fraction"] | None = None
    labels: Literal["from_0", "from_1", "category_ids"] | None = None
    scores: Literal["probability", "sigmoid", "softmax"] | None = None
    class_axis: Literal[1, 2] | None = None

    @pydantic.field_validator("outputs")
    @classmethod
    def _outputs_are_complete(cls, outputs: dict[str, str] | None) -> dict[str, str] | None:
        kinds = ({"dets", "labels"}, {"boxes", "scores", "labels"}, {"boxes", "scores"}, {"combined"})
        if outputs is not None and set(outputs) not in kinds:
            raise ValueError(
                "must name dets and labels; boxes, scores and labels; boxes and scores; or combined, "
                f"got {', '.join(sorted(outputs)) or 'nothing'}"
            )
        if outputs is not None and len(set(outputs.values())) < len(outputs):
            raise ValueError(
                f"names one output twice: {', '.join(f'{role}: {name}' for role, name in outputs.items())}"
            )
        return outputs

    @pydantic.field_validator("columns")
    @classmethod
    def _columns_make_detections(cls, columns: tuple[Column | int, ...] | None) -> tuple[Column | int, ...] | None:
        if columns is None:
            return columns
        names = [column for column in columns if not isinstance(column, int)]
        kinds = ({"box", "classes"}, {"box", "objectness", "classes"}, {"box", "score", "label"})
        if len(set(names)) < len(names) or set(names) - {"image"} not in kinds:
            got = shortened(", ".join(map(str, columns)))
            raise ValueError(
                "must be, in the order of the output, box and classes; box, objectness and classes; or box, score and "
                f"label; with image, and with numbers of columns to leave out; got {got}"
            )
        return columns

    @pydantic.model_validator(mode="after")
    def _columns_are_of_one_output(self) -> "GraphSpec":
        is_combined = self.outputs is None or "combined" in self.outputs
        if self.columns is not None and not is_combined:
            raise ValueError("columns are of one output: outputs must be {combined: NAME}, or be left out")
        if self.columns is None and self.outputs is not None and is_combined:
            raise ValueError("outputs names a combined output: say its columns, such as columns: [box, classes]")
        return self
