"""What the two MindSpore FCOS trees have in common: their weights, their evaluation, the search for a clear case."""

import importlib
import itertools
import json
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

import mindspore
import numpy as np
import random_weights
from mindspore import Parameter, Tensor
from records import FOLDER, PHOTOGRAPHS, Photograph, write

SIDES = [320, 352]  # the trees have [800, 1333]
SCORE, IOU = 0.05, 0.6  # as both `evaluate_coco` have them
CLEAR = 1e-5  # between scores
NOISE = 3e-7  # of the input, which must not change what is detected


class Detections(NamedTuple):
    """Of one photograph, by falling score.

    Attributes:
        scores: (N,).
        labels: (N,) from 1.
        boxes: (N, 4) x1 y1 x2 y2 in canvas pixels.
    """

    scores: np.ndarray
    labels: np.ndarray
    boxes: np.ndarray


class Candidates(NamedTuple):
    """What a tree's network hands to its `post_process`: scores, labels, boxes as that function wants them."""

    scores: Tensor
    labels: Tensor
    boxes: Tensor


class Input(NamedTuple):
    """What a tree's COCOGenerator made of a photograph: the tensor (3, H, W) and the scale of the resize."""

    tensor: np.ndarray
    scale: float


@dataclass(frozen=True)
class Tree:
    """A checkout.

    Attributes:
        evaluation: its evaluation script as a module.
        utilities: its module with the suppression.
        read: what its COCOGenerator returns -> the input.
        run: its network, the batch of one -> candidates.
    """

    evaluation: ModuleType
    utilities: ModuleType
    read: Callable[[tuple], Input]
    run: Callable[[mindspore.nn.Cell, Tensor], Candidates]


def import_script(name: str) -> ModuleType:
    """Import a script that parses its command line when it is imported."""
    arguments, sys.argv = sys.argv, sys.argv[:1]
    module = importlib.import_module(name)
    sys.argv = arguments
    return module


def record(
    tree: Tree, name: str, *, kinds: Mapping[str, random_weights.Kind], source: list[str], first_seed: int = 0
) -> Path:
    """Write tests/data/<name>.npz with the first seed that has no close call."""
    model = tree.evaluation.FCOSDetector(mode="inference")
    model.set_train(False)
    state = {key: (_kind(key), tuple(value.shape)) for key, value in model.parameters_dict().items()}
    inputs = _inputs(tree)
    for seed in itertools.count(first_seed):
        _load(model, random_weights.make(state, seed=seed, kinds=kinds))
        if all(_clear_cuts(tree, model, tensor) for tensor, _ in inputs.values()):
            found = {image: _clear(tree, model, tensor) for image, (tensor, _) in inputs.items()}
            if None not in found.values():
                break
        print(f"seed {seed}: a close call", file=sys.stderr, flush=True)
    photographs = [_photograph(image, *inputs[image], found[image]) for image in inputs]
    versions = [f"mindspore {mindspore.__version__}", f"numpy {np.__version__}"]
    return write(name, photographs, state, seed=seed, kinds=kinds, source=[*source, *versions])


def _photograph(name: str, tensor: np.ndarray, scale: float, found: Detections) -> Photograph:
    height, width = _size(name)
    resized = int(scale * height), int(scale * width)
    return Photograph(name, (height, width), resized, tensor, found.labels - 1, found.boxes, found.scores)


def _kind(key: str) -> str:
    """Kind of a parameter from its name."""
    module, _, tensor = key.removeprefix("fcos_body.").rpartition(".")
    fixed = {"beta": "norm_bias", "moving_mean": "mean", "moving_variance": "var", "scale": "scale"}
    if tensor in fixed:
        return fixed[tensor]
    if tensor == "gamma":
        return "last_norm" if module.endswith("bn3") else "norm"
    predictors = {"head.cls_logits": "cls", "head.reg_pred": "box", "head.cnt_logits": "ctr"}
    if module in predictors:
        return predictors[module] + ("_bias" if tensor == "bias" else "")
    if tensor == "bias":
        return "bias"
    if module == "backbone.conv1":
        return "stem"
    return "fpn" if module.startswith("fpn.") else "conv"


def _load(model: mindspore.nn.Cell, weights: Mapping[str, np.ndarray]) -> None:
    parameters = {name: Parameter(Tensor(array), name=name) for name, array in weights.items()}
    missing, surplus = mindspore.load_param_into_net(model, parameters, strict_load=True)
    if missing or surplus:
        raise KeyError(f"not in the weights: {missing}; not in the network: {surplus}")


def _size(name: str) -> tuple[int, int]:
    annotations = json.loads((FOLDER.parent / "annotations" / "instances_val2017.json").read_text())
    (image,) = [image for image in annotations["images"] if image["file_name"] == name]
    return image["height"], image["width"]


def _inputs(tree: Tree) -> dict[str, Input]:
    """What the tree's own COCOGenerator makes of the photographs."""
    annotations = json.loads((FOLDER.parent / "annotations" / "instances_val2017.json").read_text())
    annotations["images"] = [image for image in annotations["images"] if image["file_name"] in PHOTOGRAPHS]
    ids = {image["id"]: image["file_name"] for image in annotations["images"]}
    # The trees pass over images without objects; what the objects are does not matter here.
    whole = [(image["id"], [1, 1, image["width"] - 2, image["height"] - 2]) for image in annotations["images"]]
    annotations["annotations"] = [
        {"id": number, "image_id": key, "category_id": 1, "bbox": box, "area": box[2] * box[3], "iscrowd": 0}
        for number, (key, box) in enumerate(whole, start=1)
    ]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "annotations.json"
        path.write_text(json.dumps(annotations))
        generator = tree.evaluation.COCOGenerator(str(FOLDER), str(path), SIDES)
        return {ids[generator.ids[index]]: tree.read(generator[index]) for index in range(len(generator))}


def _clear_cuts(tree: Tree, model: mindspore.nn.Cell, tensor: np.ndarray) -> bool:
    """Whether no score is near the limit of candidates or near the threshold."""
    head = model.detection_head
    limit = head.max_detection_boxes_num
    head.max_detection_boxes_num = limit + 1
    scores = tree.run(model, Tensor(tensor[None])).scores.asnumpy().ravel()
    head.max_detection_boxes_num = limit
    return scores[-2] - scores[-1] > CLEAR and abs(scores - SCORE).min() > CLEAR / 2


def _clear(tree: Tree, model: mindspore.nn.Cell, tensor: np.ndarray) -> Detections | None:
    """What the tree detects; None if that hangs on rounding, or on how it keeps the classes apart.

    The trees suppress all classes at once and shift each by the largest coordinate + 1. That rounds the coordinates,
    and as boxes are not clipped before, those with large negative coordinates may reach boxes of the class before.
    """
    noise = 1 + NOISE * np.random.RandomState(0).uniform(-1, 1, tensor.shape)
    batches = [Tensor(version.astype(np.float32)[None]) for version in (tensor, tensor * noise)]
    candidates, noisy = (tree.run(model, batch) for batch in batches)
    found = detect(tree, batches[0], candidates)
    if not _same(found, detect(tree, batches[0], noisy)):
        return None
    batched = tree.utilities.batched_nms
    tree.utilities.batched_nms = lambda *arguments: _nms_by_class(tree, *arguments)
    by_class = detect(tree, batches[0], candidates)
    tree.utilities.batched_nms = batched
    return found if _same(found, by_class) else None


def detect(tree: Tree, batch: Tensor, candidates: Candidates) -> Detections:
    """What the tree's `evaluate_coco` does between the network and the division by the scale."""
    scores, labels, boxes = tree.evaluation.post_process(tuple(candidates), SCORE, IOU)
    boxes = tree.evaluation.ClipBoxes(batch, boxes)
    found = [each.asnumpy()[0] for each in (scores, labels, boxes)]
    count = int((found[0] >= SCORE).sum())  # by falling score; evaluate_coco stops at the first below
    return Detections(*(each[:count] for each in found))


def _nms_by_class(tree: Tree, boxes: Tensor, scores: Tensor, labels: Tensor, threshold: float) -> Tensor:
    """Stands in for the tree's `batched_nms`: its own `box_nms`, one class after the other."""
    kept = []
    for label in np.unique(labels.asnumpy()):
        rows = np.flatnonzero(labels.asnumpy() == label)
        own = tree.utilities.box_nms(Tensor(boxes.asnumpy()[rows]), Tensor(scores.asnumpy()[rows]), threshold)
        kept.extend(rows[own.asnumpy()])
    return Tensor(np.array(sorted(kept, key=lambda row: -scores.asnumpy()[row]), np.int32))


def _same(one: Detections, other: Detections) -> bool:
    """Whether two results are the same set of detections but for rounding."""
    if len(one.scores) != len(other.scores):
        return False
    alike = one.labels[:, None] == other.labels
    alike &= abs(one.scores[:, None] - other.scores) < 1e-5
    alike &= abs(one.boxes[:, None] - other.boxes).max(axis=2) < 1e-2
    return bool(alike.any(axis=0).all() and alike.any(axis=1).all())
