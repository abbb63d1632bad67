"""One deployed model in one typed value: what a user wishes of it, and what export and convert found."""

from detector.spec.detector_spec import (
    CANVAS_SIDE_MAX,
    Checkpoint,
    DetectorSpec,
    Fact,
    FamilyName,
    Reference,
    TensorSpec,
    load_spec_from,
    replace,
    spec_problem,
)

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
