"""The inference recipe in the config text of an mmdetection checkpoint: normalization, resize bounds, thresholds."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from detector.decode_spec import MOST_DETECTIONS
from export.checkpoints.config_text import UNKNOWN
from export.checkpoints.mmdet_dataset import pipeline_of
from export.checkpoints.weights import Recipe, Triple
from export.network.config import FcosNetwork, Network

# mmdetection 3.x: (location, class) pairs ranked by class score, boxes clipped before suppression. 1.x and 2.x before
# 2.18 rank locations by their best score, which mmdetection 3.x does for their files no more.
_DECODE: Final[dict[str, Any]] = {
    "score": "product",
    "threshold_on": "class",
    "candidates": "pairs",
    "rank_by": "class",
    "clip": "before_nms",
    "drop_empty": True,
    "nms": "iou",
}
_IMAGE: Final[dict[str, Any]] = {"resize": "mmdet", "filter": "cv2", "padding": "zero"}


def read_recipe(config: Mapping[str, Any], kind: type[Network], *, background: bool, legacy: bool) -> Recipe:
    """How mmdetection runs the model.

    Args:
        config: parsed text; {} if the file carries none.
        kind: of network.
        background: the file is of mmdetection 1.x.
        legacy: its boxes are coded as by 1.x, where the last pixel bounds them.
    """
    source = "mmdetection's code"
    decode: dict[str, Any] = {**_DECODE, **({"last_pixel": True} if legacy else {})}
    model = config.get("model")
    if not isinstance(model, dict):
        return Recipe(_IMAGE, decode, source)
    pipeline = pipeline_of(config)
    steps = list(_steps(pipeline.steps))
    notes: list[str] = [*pipeline.notes]
    found = {**_normalization(config, model, steps), **_resize(config, steps, notes)}
    image = {name: value for name, value in found.items() if value is not None}
    decode |= _decoding(config, model, notes)
    if background:
        name = "FCOS" if kind is FcosNetwork else "RetinaNet"
        notes.append(f"{name} of mmdetection 1.x is run as mmdetection 3.x runs its files")
    return Recipe({**_IMAGE, **image}, decode, "the file's config", tuple(notes))


def _steps(pipeline: Any) -> Iterator[dict[str, Any]]:
    """The steps of a pipeline, those inside MultiScaleFlipAug and its like included."""
    for step in pipeline if isinstance(pipeline, list | tuple) else []:
        if isinstance(step, dict):
            yield step
            yield from _steps(step.get("transforms"))


def _normalization(config: Mapping[str, Any], model: Mapping[str, Any], steps: list[dict[str, Any]]) -> dict[str, Any]:
    processor = model.get("data_preprocessor")
    if isinstance(processor, dict):  # 3.x; without mean it does not normalize; either flag swaps the channels
        to_rgb = processor.get("bgr_to_rgb", False) or processor.get("rgb_to_bgr", False)
        mean, std = processor.get("mean", (0, 0, 0)), processor.get("std", (1, 1, 1))
    else:
        places = [
            *(step for step in steps if _type_of(step) == "Normalize"),
            config.get("img_norm_cfg"),
            _at(config, "data", "test", "img_norm_cfg"),
        ]
        found = next((place for place in places if isinstance(place, dict)), {})
        to_rgb = found.get("to_rgb", True) if found else UNKNOWN
        mean, std = found.get("mean", UNKNOWN), found.get("std", UNKNOWN)
    return {
        "channels": {True: "RGB", False: "BGR"}[to_rgb] if isinstance(to_rgb, bool) else None,
        "mean": _triple((0, 0, 0) if mean is None else mean),
        "std": _positive(_triple((1, 1, 1) if std is None else std)),
    }


def _resize(config: Mapping[str, Any], steps: list[dict[str, Any]], notes: list[str]) -> dict[str, Any]:
    """Bounds from `scale=(1333, 800)`; in whatever order, mmcv takes the larger as the bound of the longer side."""
    scales = [step[key] for step in steps for key in ("scale", "img_scale") if key in step]
    scales += [scale] if (scale := _at(config, "data", "test", "img_scale")) is not None else []
    # The default was True until 3.x, which alone says `scale`.
    if any(_type_of(step) == "Resize" and step.get("keep_ratio", "scale" not in step) is False for step in steps):
        notes.append("the test pipeline resizes without keeping the aspect ratio")
        return {}
    for scale in scales:
        if (
            isinstance(scale, tuple | list)
            and len(scale) == 2
            and all(type(side) is int and side > 0 for side in scale)
        ):
            return {"short": min(scale), "long": max(scale)}
    return {}


def _decoding(config: Mapping[str, Any], model: Mapping[str, Any], notes: list[str]) -> dict[str, Any]:
    found = next((place for place in (model.get("test_cfg"), config.get("test_cfg")) if isinstance(place, dict)), {})
    nms = found.get("nms")
    nms = nms if isinstance(nms, dict) else {}
    # iou_thr until 2.0; without a type mmdetection takes plain NMS.
    iou = nms.get("iou_threshold", nms.get("iou_thr"))
    if nms.get("type", "nms") != "nms" or nms.get("class_agnostic", False) is not False:
        notes.append(f"suppression is {nms.get('type', 'nms')!r}, class-agnostic: {nms.get('class_agnostic', False)!r}")
        iou = None
    if found.get("min_bbox_size", 0) not in (0, -1):
        notes.append(f"boxes smaller than {found['min_bbox_size']!r} pixels were dropped")
    numbers = {"score_threshold": _number(found.get("score_thr")), "iou_threshold": _number(iou)}
    return {name: value for name, value in numbers.items() if value is not None} | _limits(found, notes)


def _limits(test_cfg: Mapping[str, Any], notes: list[str]) -> dict[str, Any]:
    """How many candidates and boxes are kept; -1 is no limit, which is also the default for candidates."""
    limits: dict[str, Any] = {}
    candidates, boxes = test_cfg.get("nms_pre", -1 if test_cfg else None), test_cfg.get("max_per_img")
    if type(candidates) is int:
        limits["candidates_per_level"] = candidates if candidates > 0 else None
    if type(boxes) is int:
        legal = 0 < boxes <= MOST_DETECTIONS
        limits["max_detections"] = boxes if legal else MOST_DETECTIONS
        if not legal:
            notes.append(f"{'all' if boxes < 1 else f'up to {boxes}'} boxes of an image are kept")
    return limits


def _at(config: Mapping[str, Any], *path: str) -> Any:
    value: Any = config
    for key in path:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def _triple(value: Any) -> Triple | None:
    if isinstance(value, list | tuple) and len(value) == 3 and all(type(number) in (int, float) for number in value):
        return float(value[0]), float(value[1]), float(value[2])
    return None


def _positive(value: Triple | None) -> Triple | None:
    return value if value is not None and min(value) > 0 else None


def _number(value: Any) -> float | None:
    return float(value) if type(value) in (int, float) and 0 <= value <= 1 else None


def _type_of(step: Mapping[str, Any]) -> str:
    """The class of a step, without its module or scope."""
    return str(step.get("type")).rpartition(".")[2]
