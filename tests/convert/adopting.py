"""Adopt a detector in miniature, run it, and compare."""

import numpy as np
import pytest

from convert.adopt.adopt import adopt
from convert.graph.fold import fold_constants
from convert.graph.freeze import with_fixed_input
from detector.errors import SpecError
from tests.conftest import run_onnx
from tests.convert.foreign import images_of

LIGHT = (1.0, 0.5)  # brightness of the images of a batch


def run(model, spec, brightness=LIGHT):
    """Adopt, freeze and run; canonical labels and dets."""
    adopted = adopt(model, spec, where="theirs.onnx", batch_size=len(brightness))
    frozen = with_fixed_input(adopted, batch_size=len(brightness), canvas=spec.canvas)
    folded = fold_constants(frozen)
    found = run_onnx(folded, images_of(*brightness))
    assert [value.name for value in folded.graph.output] == ["labels", "dets"]
    for name, value in run_onnx(frozen, images_of(*brightness)).items():
        np.testing.assert_array_equal(value, found[name])
    return found["labels"], found["dets"]


def assert_found(found, wanted):
    np.testing.assert_array_equal(found[0], wanted[0])
    np.testing.assert_allclose(found[1], wanted[1], rtol=1e-6, atol=1e-5)
    assert (found[0].dtype, found[1].dtype) == (np.int64, np.float32)


def refuses(model, spec, match, *, batch_size=2, error=SpecError):
    with pytest.raises(error, match=match):
        adopt(model, spec, where="theirs.onnx", batch_size=batch_size)
