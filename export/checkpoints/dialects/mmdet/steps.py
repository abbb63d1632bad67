"""The steps of an mmdetection test pipeline, one after the other, as settings of `ImageSpec`.

Sources: mmcv/transforms/{loading,processing}.py and mmcv/image/geometric.py 2.1, mmdet/datasets/transforms/
{loading,transforms,formatting}.py 3.3, mmdet/datasets/pipelines/ 2.3 to 2.28, mmengine/model/base_model/
data_preprocessor.py 0.10.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from export.checkpoints.dialects.mmdet.chance import certain
from export.checkpoints.dialects.mmdet.config_text import UNKNOWN
from export.checkpoints.dialects.mmdet.keys import Keys, class_name, ignored, truth
from export.checkpoints.dialects.mmdet.picture import Picture
from export.checkpoints.dialects.mmdet.sizing_steps import fix_scale, fix_shape, pad, pair, resize, shortest_edge

# Steps that leave the picture of a test image alone; what else they are told is about annotations or other inputs.
_NEUTRAL: Final = (
    "LoadAnnotations", "LoadPanopticAnnotations", "FilterAnnotations", "PackDetInputs", "Collect", "ImageToTensor",
    "ToTensor", "ToDataContainer", "WrapFieldsToLists",
)  # fmt: skip


def run(steps: Sequence[Any], picture: Picture, *, scale: Any = None, augmented: bool = False) -> None:
    """Follow the steps of a pipeline.

    Args:
        steps: settings of each.
        picture: changed in place.
        scale: what a step around these resizes to; None: they say it themselves.
        augmented: a step around these decides about flips.
    """
    for step in steps:
        kind = class_name(step.get("type")) if isinstance(step, dict) else ""
        if kind in _NEUTRAL:
            continue
        if kind == "RandomFlip" and augmented:
            continue
        if kind and (same := certain(step)) is not None:
            run(same, picture, scale=scale, augmented=augmented)
            continue
        if kind not in _STEPS:
            picture.stray(step)
            picture.unknown = True
            name = kind or "that its config computes"
            picture.notes.append(f"the test pipeline's step {name} is not run")
            continue
        keys, follow = _STEPS[kind]
        picture.notes += ignored(step, keys, f"{kind} of the test pipeline")
        follow({"scale": scale, **step} if scale is not None else step, picture)


def _load(step: Mapping[str, Any], picture: Picture) -> None:
    picture.turned = step.get("color_type", "color") != "color_ignore_orientation"
    if step.get("channel_order", "bgr") == "rgb":
        picture.swap()


def _normalize(step: Mapping[str, Any], picture: Picture) -> None:
    to_rgb = truth(step.get("to_rgb", True))
    if to_rgb is True:
        picture.swap()
    picture.normalize(step.get("mean", UNKNOWN), UNKNOWN if to_rgb is UNKNOWN else step.get("std", UNKNOWN))


def _multi_scale(step: Mapping[str, Any], picture: Picture) -> None:
    """One scale without flips is the plain pipeline; more are test-time augmentation, of which the first is run."""
    scales = step.get("scales", step.get("img_scale"))
    if isinstance(scales, list) and len(scales) > 1 and pair(scales) is None:
        picture.notes.append(f"test-time augmentation at {len(scales)} scales is not run, the first scale is taken")
        scales = scales[0]
    within = step.get("transforms")
    steps = list(within) if isinstance(within, list | tuple) else [UNKNOWN]
    if "scales" in step or "resize_cfg" in step:  # 3.x resizes by itself
        resize = step.get("resize_cfg", {"type": "Resize", "keep_ratio": True})
        steps = [{**resize, "scale": scales} if isinstance(resize, dict) else UNKNOWN, *steps]
        scales = None
    run(steps, picture, scale=scales, augmented=True)


def _compose(step: Mapping[str, Any], picture: Picture) -> None:
    within = step.get("transforms")
    run(list(within) if isinstance(within, list | tuple) else [UNKNOWN], picture, scale=step.get("scale"))


def _flip(_: Mapping[str, Any], __: Picture) -> None:
    """Whatever is not honoured of a flip has been said."""


_CLIPS: Final = ("clip_object_border", "bbox_clip_border")
_NEVER: Final = (None, 0, 0.0)
_Step = tuple[Keys, Callable[[Mapping[str, Any], Picture], None]]
_STEPS: Final[dict[str, _Step]] = {
    "LoadImageFromFile": (
        Keys(
            read=("channel_order",),
            moot=("backend_args", "file_client_args", "ignore_empty"),
            only={
                "to_float32": (False,),
                "color_type": ("color", "color_ignore_orientation"),
                "imdecode_backend": ("cv2",),
            },
        ),
        _load,
    ),
    "Resize": (
        Keys(
            read=("scale", "img_scale", "keep_ratio", "interpolation", "backend"),
            moot=(*_CLIPS, "override", "multiscale_mode"),
            only={"scale_factor": (None,), "ratio_range": (None,)},
        ),
        resize,
    ),
    "FixScaleResize": (
        Keys(read=("scale", "keep_ratio", "interpolation", "backend"), moot=_CLIPS, only={"scale_factor": (None,)}),
        fix_scale,
    ),
    "FixShapeResize": (
        Keys(read=("width", "height", "keep_ratio", "pad_val", "interpolation", "backend"), moot=_CLIPS),
        fix_shape,
    ),
    "ResizeShortestEdge": (
        Keys(
            read=("scale", "max_size", "interpolation", "backend"),
            moot=_CLIPS,
            only={"resize_type": ("Resize",), "keep_ratio": (False,)},
        ),
        shortest_edge,
    ),
    "Normalize": (Keys(read=("mean", "std", "to_rgb")), _normalize),
    "Pad": (Keys(read=("size", "size_divisor", "pad_to_square", "pad_val"), only={"padding_mode": ("constant",)}), pad),
    "MultiScaleFlipAug": (
        Keys(
            read=("transforms", "scales", "img_scale", "resize_cfg"),
            moot=("flip_direction", "flip_cfg"),
            only={"flip": (False,), "allow_flip": (False,), "scale_factor": (None,)},
        ),
        _multi_scale,
    ),
    "Compose": (Keys(read=("transforms",)), _compose),
    "RandomFlip": (Keys(moot=("direction",), only={"prob": _NEVER, "flip_ratio": _NEVER}), _flip),
    "DefaultFormatBundle": (Keys(moot=("pad_val",), only={"img_to_float": (True,)}), _flip),
}
