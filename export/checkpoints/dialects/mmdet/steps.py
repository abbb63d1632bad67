"""The steps of an mmdetection test pipeline, one after the other, as settings of `ImageSpec`.

Sources: mmcv/transforms/{loading,processing}.py and mmcv/image/geometric.py 2.1, mmdet/datasets/transforms/
{loading,transforms,formatting}.py 3.3, mmdet/datasets/pipelines/ 2.3 to 2.28, mmengine/model/base_model/
data_preprocessor.py 0.10.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from export.checkpoints.dialects.mmdet.chance import certain
from export.checkpoints.dialects.mmdet.config_text import UNKNOWN
from export.checkpoints.dialects.mmdet.keys import Keys, class_name, ignored, shown, truth
from export.checkpoints.dialects.mmdet.picture import Picture

# (backend, interpolation) of mmcv's `imresize`.
_FILTERS: Final = {
    ("cv2", "bilinear"): "cv2",
    ("pillow", "bilinear"): "pillow",
    **{("cv2", name): f"cv2_{name}" for name in ("nearest", "bicubic", "area", "lanczos")},
    **{("pillow", name): f"pillow_{name}" for name in ("nearest", "bicubic", "box", "hamming", "lanczos")},
}
# Steps that leave the picture of a test image alone; what else they are told is about annotations or other inputs.
_NEUTRAL: Final = (
    "LoadAnnotations",
    "LoadPanopticAnnotations",
    "FilterAnnotations",
    "PackDetInputs",
    "Collect",
    "ImageToTensor",
    "ToTensor",
    "ToDataContainer",
    "WrapFieldsToLists",
)


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


def _resize(step: Mapping[str, Any], picture: Picture) -> None:
    """Bounds from `scale=(1333, 800)`; in whatever order, mmcv takes the larger as the bound of the longer side."""
    key = "img_scale" if "img_scale" in step and "scale" not in step else "scale"
    scale = _pair(step.get(key))
    if scale is None:
        kind = class_name(step["type"])
        picture.notes.append(f"{kind} of the test pipeline: {key}={shown(step.get(key))} is not honoured")
        picture.stray(step)
        return
    if isinstance(step[key], list) and len(step[key]) == 2:
        picture.notes.append(
            f"{key}={shown(step[key])} of the test pipeline is a list, which mmdetection refuses, here it is the pair"
        )
    # The default was True until 3.x, which alone says `scale`.
    generation = 2 if "img_scale" in step else picture.generation
    if not step.get("keep_ratio", generation == 2):
        _take_size(step, picture, stretch=scale[::-1])
    else:
        _take_size(step, picture, short=min(scale), long=max(scale))


def _fix_scale(step: Mapping[str, Any], picture: Picture) -> None:
    _resize(step, picture)
    if step.get("keep_ratio", False):
        picture.notes.append("FixScaleResize cuts sizes to whole pixels, here they are rounded as by Resize")


def _fix_shape(step: Mapping[str, Any], picture: Picture) -> None:
    shape = _pair((step.get("width"), step.get("height")))
    if shape is None:
        picture.notes.append(f"FixShapeResize of the test pipeline to {shown(dict(step))} is not honoured")
        picture.stray(step)
    elif not step.get("keep_ratio", False):
        _take_size(step, picture, stretch=shape[::-1])
    else:
        # Of a square both bounds; any other is a canvas that bounds by itself.
        _take_size(step, picture, **(dict.fromkeys(("short", "long"), shape[0]) if shape[0] == shape[1] else {}))
        picture.canvas = shape[::-1]
        picture.notes.append("FixShapeResize scales boxes by the ratio before it is rounded, here by the one after")
        _pad({"pad_val": step.get("pad_val", 0), "size": shape}, picture)


def _shortest_edge(step: Mapping[str, Any], picture: Picture) -> None:
    short = _pair(step.get("scale"))
    long = step.get("max_size")
    if short is None or (long is not None and not _is_side(long)):
        picture.notes.append(f"ResizeShortestEdge of the test pipeline to {shown(dict(step))} is not honoured")
        picture.stray(step)
        return
    bounds = {"short": min(short), **({} if long is None else {"long": long})}
    _take_size(step, picture, resize="detectron2", **bounds)


def _take_size(step: Mapping[str, Any], picture: Picture, **size: Any) -> None:
    kind = class_name(step["type"])
    if picture.image:
        picture.notes.append("the test pipeline resizes twice, here the last size alone counts")
    for before, done in (("Normalize", picture.normalizes), ("Pad", picture.padding is not None)):
        if done:
            picture.notes.append(f"{before} comes before {kind} in the test pipeline, here after it")
    asked = (step.get("backend", "cv2"), step.get("interpolation", "bilinear"))
    known = _FILTERS.get(asked) if all(isinstance(name, str) for name in asked) else None
    if known is None:
        settings = f"backend={shown(asked[0])}, interpolation={shown(asked[1])}"
        picture.notes.append(
            f"{kind} of the test pipeline: {settings} is not honoured, pixels are resized by cv2, bilinear"
        )
    picture.image = {"filter": known or "cv2", **size}
    picture.padded_size = False


def _normalize(step: Mapping[str, Any], picture: Picture) -> None:
    to_rgb = truth(step.get("to_rgb", True))
    if to_rgb is True:
        picture.swap()
    picture.normalize(step.get("mean", UNKNOWN), UNKNOWN if to_rgb is UNKNOWN else step.get("std", UNKNOWN))


def _pad(step: Mapping[str, Any], picture: Picture) -> None:
    value = step.get("pad_val", 0)
    whole = picture.generation == 3 and type(value) is int
    if isinstance(value, dict):
        value = value.get("img", 0)
        whole = picture.generation == 3 and type(value) is int
    if type(value) in (int, float):
        # mmcv 2.x repeats a whole number for each channel; cv2 takes any other for the first channel alone.
        value = (value,) * 3 if whole else (value, 0, 0)
    picture.pad(value)
    picture.padded_size = picture.generation == 3
    size = _pair(step.get("size"))
    picture.filled = size or (step.get("size_divisor") or 1,)
    picture.divide(step.get("size_divisor"), "Pad.size_divisor")
    if size is not None:  # (width, height) since 3.x
        picture.canvas = picture.least = size[::-1] if picture.generation == 3 else size
        picture.padders.append(f"Pad.size={shown(step['size'])}")
    elif step.get("pad_to_square") not in (None, UNKNOWN, False) and "long" in picture.image:
        picture.canvas = picture.filled = (picture.image["long"],) * 2
        picture.padders.append(f"Pad.pad_to_square={shown(step['pad_to_square'])}")
        if picture.image.get("short") == picture.image["long"]:  # or else squares of many sizes
            picture.least = picture.canvas


def _multi_scale(step: Mapping[str, Any], picture: Picture) -> None:
    """One scale without flips is the plain pipeline; more are test-time augmentation, of which the first is run."""
    scales = step.get("scales", step.get("img_scale"))
    if isinstance(scales, list) and len(scales) > 1 and _pair(scales) is None:
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
        _resize,
    ),
    "FixScaleResize": (
        Keys(read=("scale", "keep_ratio", "interpolation", "backend"), moot=_CLIPS, only={"scale_factor": (None,)}),
        _fix_scale,
    ),
    "FixShapeResize": (
        Keys(read=("width", "height", "keep_ratio", "pad_val", "interpolation", "backend"), moot=_CLIPS),
        _fix_shape,
    ),
    "ResizeShortestEdge": (
        Keys(
            read=("scale", "max_size", "interpolation", "backend"),
            moot=_CLIPS,
            only={"resize_type": ("Resize",), "keep_ratio": (False,)},
        ),
        _shortest_edge,
    ),
    "Normalize": (Keys(read=("mean", "std", "to_rgb")), _normalize),
    "Pad": (
        Keys(read=("size", "size_divisor", "pad_to_square", "pad_val"), only={"padding_mode": ("constant",)}),
        _pad,
    ),
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


def _pair(value: Any) -> tuple[int, int] | None:
    """Two sides, or one for both, or a list of one of these."""
    if isinstance(value, list | tuple) and len(value) == 1:
        return _pair(value[0])
    if _is_side(value):
        return int(value), int(value)
    if isinstance(value, list | tuple) and len(value) == 2 and all(map(_is_side, value)):
        return int(value[0]), int(value[1])
    return None


def _is_side(value: Any) -> bool:
    return (type(value) is int or (type(value) is float and value.is_integer())) and value > 0
