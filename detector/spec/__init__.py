"""One deployed model in one typed value: what a user wishes of it, and what export and convert found."""

from detector.spec.detector_spec import DetectorSpec, load_spec_from, replace, spec_problem
from detector.spec.results import Checkpoint, Fact
from detector.spec.tensor_spec import TensorSpec
from detector.spec.wishes import CANVAS_SIDE_MAX, FamilyName, Reference

__all__ = [
    "CANVAS_SIDE_MAX",
    "Checkpoint",
    "DetectorSpec",
    "Fact",
    "FamilyName",
    "Reference",
    "TensorSpec",
    "load_spec_from",
    "replace",
    "spec_problem",
]
