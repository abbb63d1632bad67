"""Detectors in miniature as others export them: the boxes are fixed, the scores follow the brightness of the image."""

from collections.abc import Mapping, Sequence

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from detector.spec import DetectorSpec

FLOAT, INT64 = TensorProto.FLOAT, TensorProto.INT64
CANVAS = (64, 96)
# x1 y1 x2 y2 in canvas pixels, class, score of an image of brightness 1; scores are powers of 2 that float16 has too.
FOUND = (((4, 8, 20, 40), 1, 0.25), ((30, 10, 90, 60), 0, 0.75), ((0, 0, 96, 64), 2, 0.5))


def spec_of(graph: Mapping[str, object] | None = None, **changes: object) -> DetectorSpec:
    """A three-class detector on a 64 x 96 canvas whose pixels go in as they are, divided by 255."""
    document = {
        "name": "theirs",
        "detector": "other",
        "canvas": CANVAS,
        "image": {"channels": "RGB", "mean": [0, 0, 0], "std": [255, 255, 255]},
        "decode": {"max_detections": 5},
        "classes": ["circle", "square", "star"],
        "graph": graph,
    }
    return DetectorSpec.model_validate({**document, **changes})


def images_of(*brightness: float) -> np.ndarray:
    """(B, 3, 64, 96) images, each of one brightness."""
    return np.stack([np.full((3, *CANVAS), value, np.float32) for value in brightness])


def expected(brightness: Sequence[float], rows: int = 5) -> tuple[np.ndarray, np.ndarray]:
    """Canonical labels and dets of such images."""
    labels = np.full((len(brightness), rows), -1, np.int64)
    dets = np.zeros((len(brightness), rows, 5), np.float32)
    for image, light in enumerate(brightness):
        for row, (box, label, score) in enumerate(sorted(FOUND, key=lambda found: -found[2])[:rows]):
            labels[image, row], dets[image, row] = label, [*box, score * light]
    return labels, dets


def detector(
    outputs: Mapping[str, tuple[np.ndarray, int]],
    *,
    bright: str = "scores",
    shape: Sequence[int | str] = ("n", 3, "h", "w"),
    input_name: str = "images",
    input_kind: int = FLOAT,
    opset: int = 13,
    batched: bool = True,
    declared: Mapping[str, Sequence[int | str | None]] | None = None,
) -> onnx.ModelProto:
    """A graph that gives constant tensors, one of them times the mean of each image.

    Args:
        outputs: by name: one image's values and the element type.
        bright: output that is multiplied; of five columns only the last (the score) is.
        shape: of the input.
        input_name: of the input.
        input_kind: element type of the input.
        opset: of the default domain.
        batched: outputs have a batch axis.
        declared: shapes of outputs that are declared otherwise than they are made.
    """
    node = helper.make_node
    axes = list(range(1, len(shape))) if len(shape) == 4 else [0, 1, 2]
    nodes = [node("Cast", [input_name], ["pixels"], to=FLOAT), _mean("pixels", "light", axes, opset)]
    weights, values = [], []
    for name, (array, kind) in outputs.items():
        lead = [0] if batched else []  # Reshape: 0 copies the batch
        target = np.array([*lead, *[1] * array.ndim], np.int64)
        factor = np.ones_like(array, np.float32)
        if name == bright:
            factor[..., 4 if array.shape[-1] == 5 and name != "scores" else slice(None)] = 0
        weights += [
            numpy_helper.from_array(array.astype(np.float32), f"{name}_value"),
            numpy_helper.from_array(target, f"{name}_target"),
            numpy_helper.from_array(factor, f"{name}_still"),
            numpy_helper.from_array(1 - factor, f"{name}_moving"),
        ]
        nodes += [
            node("Reshape", ["light", f"{name}_target"], [f"{name}_light"]),
            node("Mul", [f"{name}_light", f"{name}_moving"], [f"{name}_lit"]),
            node("Add", [f"{name}_lit", f"{name}_still"], [f"{name}_factor"]),
            node("Mul", [f"{name}_factor", f"{name}_value"], [f"{name}_float"]),
            node("Cast", [f"{name}_float"], [name], to=kind),
        ]
        sizes = (declared or {}).get(name, [*(["n"] if batched else []), *array.shape])
        values.append(helper.make_tensor_value_info(name, kind, sizes))
    graph = helper.make_graph(
        nodes, "theirs", [helper.make_tensor_value_info(input_name, input_kind, list(shape))], values, weights
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=7)
    onnx.checker.check_model(model)
    return model


def _mean(source: str, target: str, axes: list[int], opset: int) -> onnx.NodeProto:
    assert opset < 18  # later, axes are an input
    return helper.make_node("ReduceMean", [source], [target], axes=axes, keepdims=1)


def boxes(form: str = "xyxy", *, units: str = "pixels") -> np.ndarray:
    """(N, 4) the boxes in one of the forms that a spec names."""
    x1, y1, x2, y2 = np.array([box for box, _, _ in FOUND], np.float64).T
    columns = {
        "xyxy": (x1, y1, x2, y2),
        "yxyx": (y1, x1, y2, x2),
        "xywh": (x1, y1, x2 - x1, y2 - y1),
        "cxcywh": ((x1 + x2) / 2, (y1 + y2) / 2, x2 - x1, y2 - y1),
    }[form]
    sides = np.array([CANVAS[1], CANVAS[0], CANVAS[1], CANVAS[0]])
    sides = sides[[1, 0, 3, 2]] if form == "yxyx" else sides
    return np.stack(columns, 1) / (sides if units == "fraction" else 1)


def scores() -> np.ndarray:
    """(N,) of an image of brightness 1."""
    return np.array([score for _, _, score in FOUND])


def labels(first: int = 0) -> np.ndarray:
    """(N,) counted from `first`."""
    return np.array([label + first for _, label, _ in FOUND])


def dets() -> np.ndarray:
    """(N, 5) x1 y1 x2 y2 score."""
    return np.concatenate([boxes(), scores()[:, None]], 1)


def class_scores(first: int = 0, classes: int = 3) -> np.ndarray:
    """(N, classes + first), the other classes' scores below the threshold of 0.05."""
    table = np.full((len(FOUND), classes + first), 0.01)
    table[np.arange(len(FOUND)), labels(first)] = scores()
    return table


def three(**kinds: tuple[np.ndarray, int]) -> dict[str, tuple[np.ndarray, int]]:
    """Boxes, scores and labels."""
    return {"boxes": (boxes(), FLOAT), "scores": (scores(), FLOAT), "labels": (labels(), INT64), **kinds}


PLAIN = {"boxes": "xyxy", "units": "pixels", "labels": "from_0"}
