"""Which spec the bins are made for: the model's own, or the published guide's."""

from pathlib import Path
from typing import Literal

from detector.errors import SpecError
from detector.geometry import ResizeRule, Size
from detector.spec import DetectorSpec, replace
from detector.spec_files import load_spec

Dtype = Literal["float32", "uint8"]
# The published Ascend 310P guide, and the same model as mmdetection would feed it.
GUIDE_MODELS: dict[ResizeRule, str] = {"modelzoo": "fcos_r50_caffe_fpn_1x_guide", "mmdet": "fcos_r50_caffe_fpn_1x"}


def guide_spec(
    *, height: int | None, width: int | None, recipe: ResizeRule | None, dtype: Dtype | None = None
) -> DetectorSpec:
    """The published guide's recipe: floor, centre, on a canvas given in pixels; what is not given is the guide's.

    Raises:
        SpecError: the canvas is out of range.
    """
    default = load_spec(GUIDE_MODELS["modelzoo"]).canvas
    spec = load_spec(GUIDE_MODELS[recipe or "modelzoo"])
    return _with_dtype(spec.with_canvas(Size(height or default.height, width or default.width)), dtype)


def model_spec(
    model: str, *, height: int | None, width: int | None, recipe: ResizeRule | None, dtype: Dtype | None = None
) -> DetectorSpec:
    """The spec that a model carries; a canvas given beside it must be the model's own.

    A model that is already converted decides the recipe as well; a named model or a YAML file may be given another.
    An OM decides the element type of the bins; before that they may be asked for as the model is going to be converted.

    Raises:
        SpecError: unknown model, or the canvas or recipe asked for is not the model's.
        ArtifactError: the model file does not exist or carries no spec.
    """
    spec = load_spec(model)
    if Path(model).suffix.lower() == ".om" and dtype not in (None, spec.image.dtype):
        raise SpecError(
            f"{model} takes {spec.input}, --dtype says {dtype}; leave it out, or convert again: "
            f"python -m convert --dtype {dtype}"
        )
    spec = _with_dtype(spec, dtype)
    asked = Size(height or spec.canvas.height, width or spec.canvas.width)
    if asked != spec.canvas:
        raise SpecError(
            f"{model} has the canvas {spec.canvas}, --model_input_height and --model_input_width say {asked}; "
            f"leave them out, or convert the model for that canvas: "
            f"python -m convert --canvas {asked.height},{asked.width}"
        )
    if recipe is None or recipe == spec.image.resize:
        return spec
    if Path(model).suffix.lower() in (".onnx", ".om"):
        raise SpecError(
            f"{model} was converted for the recipe {spec.image.resize!r}, --recipe says {recipe!r}; "
            f"leave it out, or set `resize: {recipe}` in the model's YAML file, then export and convert again"
        )
    return replace(spec, image=spec.image.model_copy(update={"resize": recipe}).model_dump())


def _with_dtype(spec: DetectorSpec, dtype: Dtype | None) -> DetectorSpec:
    return spec if dtype is None else replace(spec, image={**spec.image.model_dump(), "dtype": dtype})
