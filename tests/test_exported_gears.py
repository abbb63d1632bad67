"""Whole detectors with gears: at every gear GE's own kernels make all shapes static, and the numbers are the gear's."""

import functools

import numpy as np
import onnxruntime as ort
import pytest

from benchmarks.lowered_graph import LoweredGraph
from convert.gears.kernels import OWN, own
from convert.gears.open_shapes import folded_at, open_shapes
from convert.gears.shape import with_open_shape
from convert.graph.freeze import freeze
from convert.lint.check import lint
from convert.lint.graph_rules.gears import GearOptions
from convert.lint.tensors import known_tensors
from convert.lower import lower
from detector.geometry import Size
from detector.spec.atc import AtcSpec
from tests.export.networks import exported

pytestmark = [pytest.mark.exports, pytest.mark.timeout(600)]

SIZES = [(64, 96), (96, 64), (128, 192), (32, 160), (96, 96), (192, 128)]
DIMS = [(1, 64, 96), (3, 64, 96), (2, 96, 64), (1, 128, 128), (4, 32, 64), (2, 160, 96)]
SETS = {
    **{f"{count} sizes": [(2, *size) for size in SIZES[:count]] for count in (2, 3, 6)},
    **{f"{count} dims": DIMS[:count] for count in (2, 6)},
}


@pytest.fixture(params=["fcos", "retinanet"])
def name(request):
    return request.param


@functools.cache
def at(name, gear, opset=13):
    """The lowered graph of one gear; no test may change it."""
    batch_size, *canvas = gear
    static = freeze(exported(name)[1], batch_size=batch_size, canvas=Size(*canvas))
    return lower(static, AtcSpec(opset=opset))


def merged_of(name, gears, opset=13):
    return with_open_shape([at(name, gear, opset) for gear in gears])


def as_written(model):
    """onnxruntime that neither fuses nor reorders: what the graph says."""
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    return ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


@pytest.mark.parametrize("gears", SETS)
def test_every_shape_is_static_at_every_gear(name, gears):
    merged = merged_of(name, SETS[gears])
    made = {node.op_type for node in merged.graph.node if node.name.startswith("gear.")}
    assert made <= {"Shape", "Cast", "Gather", "Mul", "Add", "Slice", "Reshape"} <= {*OWN, "Slice", "Reshape"}
    for batch_size, height, width in SETS[gears]:
        folded = folded_at(merged, {"input": (batch_size, 3, height, width)}, own)
        assert open_shapes(folded, own) == []
        assert not {"Shape", "Cast"} & {node.op_type for node in folded.graph.node if node.name.startswith("gear.")}
        tensors = known_tensors(folded)
        names = {each for node in folded.graph.node for each in node.output if each}
        assert {each for each in names if tensors.shape(each) is None} == set()


@pytest.mark.parametrize("gears", ["3 sizes", "6 dims"])
def test_the_numbers_are_those_of_a_graph_of_that_shape_to_the_byte(name, gears):
    merged = LoweredGraph(merged_of(name, SETS[gears]), runner=as_written)
    for gear in SETS[gears]:
        (batch_size, height, width), alone = gear, at(name, gear)
        images = np.random.default_rng(height).normal(size=(batch_size, 3, height, width)).astype(np.float32)
        # As on a canvas that the image does not fill.
        images[:, :, height * 2 // 3 :] = 0
        found, wanted = merged.run(images), LoweredGraph(alone, runner=as_written).run(images)
        assert (wanted["labels"] >= 0).any()
        assert {key: each.tobytes() for key, each in found.items()} == {
            key: each.tobytes() for key, each in wanted.items()
        }


@pytest.mark.parametrize("opset", [11, 16])
def test_in_every_opset(name, opset):
    gears = [(1, 64, 96), (1, 96, 64)]
    merged = merged_of(name, gears, opset)
    for gear in gears:
        folded = folded_at(merged, {"input": (gear[0], 3, *gear[1:])}, own)
        assert open_shapes(folded, own) == []


def test_lint_agrees(name):
    gears = SIZES[:3]
    merged = merged_of(name, [(2, *size) for size in gears])
    given = GearOptions(dynamic_image_size=";".join(",".join(map(str, size)) for size in gears))
    assert lint(merged, gears=given).verdict == "ok"
    other = lint(merged, gears=GearOptions(dynamic_image_size="64,96;64,97"))
    assert [(found.rule, found.node) for found in other.failures] == [("gear-misfit", "(graph)")]
