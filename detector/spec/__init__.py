"""One deployed model in one typed value: what a user wishes of it, and what export and convert found."""

from detector.spec.detector_spec import DetectorSpec as DetectorSpec
from detector.spec.detector_spec import TensorSpec as TensorSpec
from detector.spec.detector_spec import load_spec_from as load_spec_from
from detector.spec.detector_spec import replace as replace
from detector.spec.detector_spec import spec_problem as spec_problem
from detector.spec.results import Checkpoint as Checkpoint
from detector.spec.results import Fact as Fact
from detector.spec.wishes import CANVAS_SIDE_MAX as CANVAS_SIDE_MAX
from detector.spec.wishes import FamilyName as FamilyName
from detector.spec.wishes import Reference as Reference
