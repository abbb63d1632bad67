"""Which outputs of someone else's ONNX are its detections: told by their names, proven by their shapes, else asked."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import onnx
from onnx import TensorProto

from detector.errors import SpecError
from detector.spec import DetectorSpec
from detector.spec.graph import GraphSpec

log = logging.getLogger(__name__)

FLOATS = (TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.DOUBLE)
NUMBERS = (*FLOATS, TensorProto.INT32, TensorProto.INT64)
KINDS = (frozenset({"dets", "labels"}), frozenset({"boxes", "scores", "labels"}), frozenset({"boxes", "scores"}))
ROLES = frozenset().union(*KINDS)
WAYS = (
    "{dets: …, labels: …}, {boxes: …, scores: …, labels: …} or, before suppression, {boxes: …, scores: …}; where one "
    "output holds all, its columns in their order, graph.columns: [box, classes], [box, objectness, classes] or "
    "[box, score, label]"
)


@dataclass(frozen=True, slots=True)
class Output:
    """One output of a graph.

    Attributes:
        name: in the graph.
        kind: element type, of TensorProto.
        shape: an axis of unknown size is None; None: the rank is unknown.
    """

    name: str
    kind: int
    shape: tuple[int | None, ...] | None

    def __str__(self) -> str:
        kind = TensorProto.DataType.Name(self.kind).lower()
        axes = "of unknown rank" if self.shape is None else f"[{', '.join(str(n or '?') for n in self.shape)}]"
        return f"{self.name!r} {kind} {axes}"


@dataclass(frozen=True, slots=True)
class DetectionOutputs:
    """The outputs that are detections, by role.

    Attributes:
        roles: "dets" and "labels"; "boxes", "scores" and "labels"; or "boxes" and "scores" (of classes).
        has_batch_axis: torchvision's have none.
    """

    roles: Mapping[str, Output]
    has_batch_axis: bool

    @property
    def needs_suppression(self) -> bool:
        """Whether every box still has a score of every class."""
        return "labels" not in self.roles

    @property
    def boxes(self) -> Output:
        """The output with the boxes."""
        return self.roles.get("dets") or self.roles["boxes"]

    def renamed(self, names: Mapping[str, str]) -> "DetectionOutputs":
        """The same outputs under their new names, where they got one."""
        roles = {role: replace(output, name=names.get(output.name, output.name)) for role, output in self.roles.items()}
        return replace(self, roles=roles)

    def size(self, role: str, axis: int) -> int | None:
        """Size of an axis, counted with the batch axis, or None if unknown."""
        shape = self.roles[role].shape
        assert shape is not None  # _check_shapes
        return shape[axis if self.has_batch_axis else axis - 1]


def find_detections(graph: onnx.GraphProto, spec: DetectorSpec, *, where: str, batch_size: int) -> DetectionOutputs:
    """Find the detections among the outputs of a graph.

    Args:
        graph: with inferred shapes.
        spec: its `graph` part names the outputs where they are not called by their roles.
        where: file, for messages.
        batch_size: images per run.

    Raises:
        SpecError: no outputs, or more than one set of outputs, could be meant; or they have other shapes than
            detections have. The message lists them.
    """
    outputs = [output_of(value) for value in graph.output]
    told = spec.graph or GraphSpec()
    roles = _by_role(outputs, told, where)
    left = [str(output) for output in outputs if output not in roles.values()]
    if left:
        log.info("%s: left out: %s", where, ", ".join(left))
    has_batch_axis = _check_shapes(roles, where)
    for output in roles.values():
        batch = output.shape[0] if output.shape and has_batch_axis else 1
        if batch not in (None, batch_size):
            fixed = f"has a fixed batch of {batch}" if has_batch_axis else "has no batch axis, which is a batch of 1"
            raise SpecError(
                f"{where}: output {output} {fixed}; --batch_size is {batch_size}: convert with --batch_size {batch}, "
                "or export with a dynamic batch"
            )
    _require_meaning(roles, told, spec, where)
    return DetectionOutputs(roles, has_batch_axis)


def output_of(value: onnx.ValueInfoProto) -> Output:
    """An output with what is known of it."""
    tensor = value.type.tensor_type
    shape = tuple(dim.dim_value if dim.HasField("dim_value") else None for dim in tensor.shape.dim)
    return Output(value.name, tensor.elem_type, shape if tensor.HasField("shape") else None)


def _by_role(outputs: Sequence[Output], told: GraphSpec, where: str) -> dict[str, Output]:
    by_name = {output.name: output for output in outputs}
    listed = ", ".join(map(str, outputs))
    if told.outputs is not None:
        for role, name in told.outputs.items():
            if name not in by_name:
                raise SpecError(f"{where} has no output {name!r} (graph.outputs.{role} in the spec); it has {listed}")
        return {role: by_name[name] for role, name in told.outputs.items()}
    found = frozenset(by_name) & ROLES
    if found not in KINDS:
        raise SpecError(
            f"{where}: which outputs are the detections? It has {listed}; say so in the spec, graph.outputs: {WAYS}"
        )
    return {role: by_name[role] for role in sorted(found)}


def _check_shapes(roles: Mapping[str, Output], where: str) -> bool:
    """Require the shapes that the roles have; returns whether there is a batch axis."""
    boxes = roles.get("dets") or roles["boxes"]
    columns = 5 if "dets" in roles else 4
    if boxes.shape is None or len(boxes.shape) not in (2, 3) or boxes.shape[-1] != columns or boxes.kind not in FLOATS:
        meaning = "x1 y1 x2 y2 score" if "dets" in roles else "the numbers of a box"
        raise SpecError(
            f"{where}: output {boxes} cannot be the boxes: expected float [batch, N, {columns}] ({meaning})"
        )
    rank = len(boxes.shape)
    per_class = "labels" not in roles
    for role, output in roles.items():
        if role not in ("scores", "labels"):
            continue
        wanted, kinds = (rank if per_class else rank - 1), (NUMBERS if role == "labels" else FLOATS)
        if output.shape is None or len(output.shape) != wanted or output.kind not in kinds:
            form = ["batch", "N", "classes"][3 - rank : 3 if per_class else 2]
            hint = (
                "; scores of every class are taken without an output of labels"
                if output.shape is not None and len(output.shape) == rank and not per_class
                else ""
            )
            raise SpecError(
                f"{where}: output {output} cannot be the {role} of {boxes}: expected "
                f"{'int32, int64 or float' if role == 'labels' else 'float'} [{', '.join(form)}]{hint}"
            )
    return rank == 3


def _require_meaning(roles: Mapping[str, Output], told: GraphSpec, spec: DetectorSpec, where: str) -> None:
    """What no graph says about itself. `dets` are mmdeploy's: corners in pixels, labels from 0."""
    keys = {
        "boxes": "xyxy, xywh, cxcywh or yxyx",
        "units": "pixels or fraction (of the canvas)",
        "labels": "from_0, from_1 or category_ids",
    }
    unsaid = [f"graph.{key} ({values})" for key, values in keys.items() if getattr(told, key) is None]
    if unsaid and "dets" not in roles:
        raise SpecError(
            f"{where}: {', '.join(sorted(roles))} do not say what their numbers mean: set {', '.join(unsaid)} in the "
            "spec"
        )
    if told.scores == "softmax" and "labels" in roles:
        raise SpecError(
            f"{where}: graph.scores is softmax, but a box has one score here: softmax is over those of all classes; "
            "set it to probability or sigmoid, or export the scores of all classes"
        )
    if told.labels == "category_ids" and spec.category_ids is None:
        raise SpecError(
            f"{where}: graph.labels is category_ids, but the spec {spec.name} has no category_ids: list one per class"
        )


def class_columns(found: DetectionOutputs, spec: DetectorSpec, *, where: str) -> tuple[int, list[int]]:
    """The axis of the classes in class scores (batch, ., .), and the column of each class of the spec.

    Raises:
        SpecError: the sizes fit neither axis, or both.
    """
    told = spec.graph or GraphSpec()
    first = 1 if told.labels == "from_1" else 0
    if told.labels == "category_ids":
        assert spec.category_ids is not None  # _require_meaning
        columns = list(spec.category_ids)
    else:
        columns = [first + label for label in range(len(spec.classes))]
    scores = found.roles["scores"]
    boxes = found.size("boxes", 1)
    sizes = {axis: found.size("scores", axis) for axis in (1, 2)}
    other = {1: 2, 2: 1}

    def fits(axis: int) -> bool:
        rows, count = sizes[other[axis]], sizes[axis]
        enough = count is not None and (
            count > max(columns) if told.labels == "category_ids" else count == len(columns) + first
        )
        return enough and (boxes is None or rows in (None, boxes))

    axes = [axis for axis in (1, 2) if told.class_axis in (None, axis) and fits(axis)]
    if not axes:
        wanted = f"more than {max(columns)}" if told.labels == "category_ids" else f"{len(columns) + first}"
        background = " and the background" if first else ""
        raise SpecError(
            f"{where}: output {scores} has no axis of {wanted} classes beside the boxes {found.boxes}: the spec "
            f"{spec.name} names {len(spec.classes)}{background} (graph.labels: {told.labels})"
        )
    if len(axes) == 2:
        raise SpecError(
            f"{where}: either axis of output {scores} can be that of the {len(columns)} classes: set graph.class_axis "
            "to 1 or 2 in the spec"
        )
    return axes[0], columns
