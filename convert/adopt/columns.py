"""One output that holds boxes, scores and labels side by side -> an output for each, which adoption reads."""

from dataclasses import dataclass

import onnx
from onnx import TensorProto, helper

from convert.adopt.nodes import Writer
from convert.adopt.outputs import FLOATS, Output, output_of
from detector.errors import SpecError
from detector.spec import DetectorSpec, replace
from detector.spec.graph import GraphSpec

WIDTHS = {"box": 4, "objectness": 1, "score": 1, "label": 1, "image": 1}


@dataclass(frozen=True, slots=True)
class _Table:
    """The combined output: its columns' axis, and where each kind of column lies on it."""

    output: Output
    axis: int
    places: dict[str, list[int]]


def split_columns(
    graph: onnx.GraphProto, inferred: onnx.GraphProto, spec: DetectorSpec, *, where: str, batch_size: int
) -> DetectorSpec:
    """Make the columns that `graph.columns` of the spec names outputs of their own, in place.

    Args:
        graph: of someone else.
        inferred: the same with shapes.
        spec: a combined output is one if it has `graph.columns`; else nothing is done.
        where: file, for messages.
        batch_size: images per run.

    Returns:
        The spec of the changed graph: it names the new outputs, whose scores are probabilities if it says how.

    Raises:
        SpecError: there is no such output, or its size is another one than the columns have together.
    """
    told = spec.graph
    if told is None or told.columns is None:
        return spec
    table = _table(inferred, told, spec, where=where)
    if "image" in told.columns and batch_size != 1:
        raise SpecError(
            f"{where}: graph.columns has the number of the image in the batch: the rows of the images are mixed, "
            f"--batch_size is {batch_size}: convert with --batch_size 1, or export boxes and scores of each image"
        )
    names = _outputs(Writer(graph, spec, batch_size=batch_size), table)
    del graph.output[:]
    graph.output.extend(helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in names.values())
    plain: dict[str, object] = {
        "columns": None,
        "outputs": names,
        "scores": "probability" if told.scores else None,
        "class_axis": None,
    }
    if "classes" in told.columns:
        plain["class_axis"] = 2
    return replace(spec, graph={**told.model_dump(), **plain})


def _table(inferred: onnx.GraphProto, told: GraphSpec, spec: DetectorSpec, *, where: str) -> _Table:
    outputs = [output_of(value) for value in inferred.output]
    listed = ", ".join(map(str, outputs))
    name = told.outputs["combined"] if told.outputs else outputs[0].name
    found = [output for output in outputs if output.name == name]
    if not found:
        raise SpecError(f"{where} has no output {name!r} (graph.outputs.combined in the spec); it has {listed}")
    if told.outputs is None and len(outputs) > 1:
        raise SpecError(f"{where}: which output has the columns? It has {listed}; set graph.outputs: {{combined: …}}")
    output = found[0]
    rank = len(output.shape or ())
    if output.kind not in FLOATS or rank not in (2, 3, 4) or (rank == 4 and output.shape and output.shape[1] != 1):
        raise SpecError(
            f"{where}: output {output} cannot hold boxes and scores side by side: expected float [batch, N, columns] "
            "or [batch, columns, N]"
        )
    others = sum(column if isinstance(column, int) else WIDTHS.get(column, 0) for column in told.columns or ())
    sizes = (None, *(output.shape or ())[-2:])  # of axis 1 and 2, with a batch axis
    fitting = {axis: _classes(size, others, told, spec) for axis, size in enumerate(sizes) if axis}
    axes = [axis for axis, count in fitting.items() if count is not None and told.class_axis in (None, axis)]
    if len(axes) != 1:
        raise SpecError(_refusal(output, told, spec, others, axes, where=where))
    places: dict[str, list[int]] = {}
    start = 0
    for column in told.columns or ():
        width = column if isinstance(column, int) else WIDTHS.get(column, fitting[axes[0]] or 0)
        if not isinstance(column, int):
            places[column] = list(range(start, start + width))
        start += width
    return _Table(output, axes[0], places)


def _classes(size: int | None, others: int, told: GraphSpec, spec: DetectorSpec) -> int | None:
    """The number of class columns if an axis of this size is that of the columns, else None."""
    if size is None:
        return None
    left = size - others
    if "classes" not in (told.columns or ()):
        return 0 if left == 0 else None
    if told.labels == "category_ids":
        return left if left > max(spec.category_ids or (0,)) else None
    return left if left == len(spec.classes) + (told.labels == "from_1") else None


def _refusal(output: Output, told: GraphSpec, spec: DetectorSpec, others: int, axes: list[int], *, where: str) -> str:
    columns = ", ".join(map(str, told.columns or ()))
    if len(axes) == 2:
        return (
            f"{where}: either axis of output {output} can be that of the columns {columns}: set graph.class_axis to 1 "
            "or 2 in the spec"
        )
    count = len(spec.classes) + (told.labels == "from_1")
    wanted = f"{others + count} ({others} and {count} classes)" if "classes" in (told.columns or ()) else f"{others}"
    return (
        f"{where}: output {output} has no axis of the size of its columns: graph.columns, {columns}, are {wanted}; "
        "correct graph.columns or classes in the spec"
    )


def _outputs(write: Writer, table: _Table) -> dict[str, str]:
    """Names of the new outputs by role."""
    whole = write.add("Cast", [table.output.name], "columns.float", to=TensorProto.FLOAT)
    rank = len(table.output.shape or ())
    if rank != 3:
        axis = write.constant("columns.axis", [1 if rank == 4 else 0])
        whole = write.add("Squeeze" if rank == 4 else "Unsqueeze", [whole, axis], "columns.rank")
    if table.axis == 1:
        whole = write.add("Transpose", [whole], "columns.by_row", perm=[0, 2, 1])
    names = {"boxes": write.take(whole, table.places["box"], "columns.boxes")}
    if "classes" in table.places:
        scores = write.activated(write.take(whole, table.places["classes"], "columns.classes"), "columns.activated")
        if "objectness" in table.places:
            objectness = write.take(whole, table.places["objectness"], "columns.objectness")
            if write.told.scores in ("sigmoid", "softmax"):
                objectness = write.add("Sigmoid", [objectness], "columns.object")
            scores = write.add("Mul", [scores, objectness], "columns.scores")
        return {**names, "scores": scores}
    score = _column(write, whole, table.places["score"][0], "columns.score")
    label = _column(write, whole, table.places["label"][0], "columns.label")
    return {**names, "scores": write.activated(score, "columns.scores"), "labels": label}


def _column(write: Writer, tensor: str, column: int, name: str) -> str:
    """One column (batch, N): an index that is one number takes the axis away."""
    return write.add("Gather", [tensor, write.constant(f"{name}.index", column)], name, axis=2)
