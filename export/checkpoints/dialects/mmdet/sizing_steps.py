"""The steps of a test pipeline that decide the size of a picture: those that resize it, and those that pad it.

Sources: as of `export.checkpoints.dialects.mmdet.steps`.
"""

from collections.abc import Mapping
from typing import Any, Final

from export.checkpoints.dialects.mmdet.config_text import UNKNOWN
from export.checkpoints.dialects.mmdet.keys import class_name, shown
from export.checkpoints.dialects.mmdet.picture import Picture

# (backend, interpolation) of mmcv's `imresize`.
_FILTERS: Final = {
    ("cv2", "bilinear"): "cv2",
    ("pillow", "bilinear"): "pillow",
    **{("cv2", name): f"cv2_{name}" for name in ("nearest", "bicubic", "area", "lanczos")},
    **{("pillow", name): f"pillow_{name}" for name in ("nearest", "bicubic", "box", "hamming", "lanczos")},
}


def resize(step: Mapping[str, Any], picture: Picture) -> None:
    """Resize: bounds from `scale=(1333, 800)`; of either order, mmcv takes the larger as bound of the longer side."""
    key = "img_scale" if "img_scale" in step and "scale" not in step else "scale"
    scale = pair(step.get(key))
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


def fix_scale(step: Mapping[str, Any], picture: Picture) -> None:
    """FixScaleResize: as Resize, with whole pixels."""
    resize(step, picture)
    if step.get("keep_ratio", False):
        picture.notes.append("FixScaleResize cuts sizes to whole pixels, here they are rounded as by Resize")


def fix_shape(step: Mapping[str, Any], picture: Picture) -> None:
    """FixShapeResize: to one shape, or into it and padded to it."""
    shape = pair((step.get("width"), step.get("height")))
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
        pad({"pad_val": step.get("pad_val", 0), "size": shape}, picture)


def shortest_edge(step: Mapping[str, Any], picture: Picture) -> None:
    """ResizeShortestEdge: the shorter side, up to a bound of the longer."""
    short = pair(step.get("scale"))
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


def pad(step: Mapping[str, Any], picture: Picture) -> None:
    """Pad: to a size, a multiple or a square."""
    value = step.get("pad_val", 0)
    if isinstance(value, dict):
        value = value.get("img", 0)
    if type(value) in (int, float):
        whole = picture.generation == 3 and type(value) is int
        # mmcv 2.x repeats a whole number for each channel; cv2 takes any other for the first channel alone.
        value = (value,) * 3 if whole else (value, 0, 0)
    picture.pad(value)
    picture.padded_size = picture.generation == 3
    size = pair(step.get("size"))
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


def pair(value: Any) -> tuple[int, int] | None:
    """Two sides, or one for both, or a list of one of these."""
    if isinstance(value, list | tuple) and len(value) == 1:
        return pair(value[0])
    if _is_side(value):
        return int(value), int(value)
    if isinstance(value, list | tuple) and len(value) == 2 and all(map(_is_side, value)):
        return int(value[0]), int(value[1])
    return None


def _is_side(value: Any) -> bool:
    return (type(value) is int or (type(value) is float and value.is_integer())) and value > 0
