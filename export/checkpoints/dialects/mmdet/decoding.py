"""`test_cfg` of an mmdetection config as settings of `DecodeSpec`.

Sources: mmdet/models/dense_heads/base_dense_head.py 3.3, mmcv/ops/nms.py 2.1; `iou_thr` was the name until 2.0.
"""

from collections.abc import Mapping
from typing import Any, Final

from detector.card.sheet import NMS_ROWS
from detector.spec.decode import DecodeSpec
from export.checkpoints.dialects.mmdet.config_text import UNKNOWN
from export.checkpoints.dialects.mmdet.keys import Keys, ignored, shown

_TEST_CFG: Final = Keys(read=("nms_pre", "min_bbox_size", "score_thr", "nms", "max_per_img"))
# `split_thr` is when suppression goes class by class instead of shifting the boxes of each: the same boxes.
_NMS: Final = Keys(
    read=("iou_threshold", "iou_thr", "score_threshold", "max_num", "offset", "class_agnostic"), moot=("split_thr",)
)


def decoding(config: Mapping[str, Any], model: Mapping[str, Any], notes: list[str]) -> dict[str, Any]:
    """Thresholds and limits.

    {} if the config has none, or computes all of them.

    Args:
        config: parsed text; 2.x until 2.3 kept `test_cfg` outside the model, where 3.x has its test loop.
        model: its model.
        notes: what is not honoured is appended.
    """
    places = (model.get("test_cfg"), config.get("test_cfg"))
    found = next((place for place in places if isinstance(place, dict) and "type" not in place), None)
    if found is None:
        return {}
    found = _as_numbers(found)
    notes += ignored(found, _TEST_CFG, "test_cfg")
    result = {
        "score_threshold": _threshold(found.get("score_thr", 0), "score_threshold", "test_cfg: score_thr", notes),
        "candidates_per_level": _candidates_per_level(found.get("nms_pre", -1), notes),
        "max_detections": _most(found.get("max_per_img", UNKNOWN), notes),
        **_candidates(found.get("min_bbox_size", -1), notes),
        **_suppression(found.get("nms"), notes),
    }
    most = result.pop("max_num", None)
    if most is not None:
        result["max_detections"] = min(most, result["max_detections"] or NMS_ROWS)
    return {name: value for name, value in result.items() if value is not None or name == "candidates_per_level"}


def _candidates(smallest: Any, notes: list[str]) -> dict[str, Any]:
    negative = isinstance(smallest, int | float) and smallest < 0
    if smallest != 0 and not negative:
        notes.append(f"test_cfg: min_bbox_size={shown(smallest)} drops small boxes, here only those without extent")
    return {"drop_empty": not negative}


def _as_numbers(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Truth values as the numbers that they are where a number is meant."""
    return {
        key: int(value) if isinstance(value, bool) and key != "class_agnostic" else value
        for key, value in settings.items()
    }


def _suppression(nms: Any, notes: list[str]) -> dict[str, Any]:
    if not isinstance(nms, dict):
        most = DecodeSpec().iou_threshold
        notes.append(f"test_cfg: nms={shown(nms)} is not honoured, suppression is plain, at an IoU of {most}")
        return {}
    nms = _as_numbers(nms)
    # Without a type mmdetection takes plain NMS.
    kind = nms.get("type", "nms")
    if kind != "nms":
        notes.append(f"test_cfg.nms: type={shown(kind)} is not honoured, suppression is plain")
    notes += ignored(nms, _NMS, "test_cfg.nms")
    if nms.get("class_agnostic", False) not in (False, None):
        notes.append(
            f"test_cfg.nms: class_agnostic={shown(nms['class_agnostic'])} suppresses across classes, here per class"
        )
    offset = nms.get("offset", 0)
    if offset not in (0, 1):
        notes.append(f"test_cfg.nms: offset={shown(offset)} is not honoured")
    limit, overlap = nms.get("score_threshold", 0), nms.get("iou_threshold", nms.get("iou_thr"))
    if isinstance(overlap, int | float):
        overlap = min(overlap, 1)  # no overlap exceeds it
        if overlap < 0:
            notes.append(f"test_cfg.nms: iou_threshold={shown(overlap)} lets boxes suppress all others, here at 0")
    return {
        "iou_threshold": _threshold(overlap, "iou_threshold", "test_cfg.nms: iou_threshold", notes, most=1),
        "nms": "iou_plus_one" if offset == 1 else "iou",
        "nms_score_threshold": _threshold(limit, "nms_score_threshold", "test_cfg.nms: score_threshold", notes),
        "max_num": _limit(nms.get("max_num", -1), notes),
    }


def _threshold(value: Any, name: str, what: str, notes: list[str], *, most: float = 0.9999999) -> float | None:
    """A threshold of the config; None, and what `DecodeSpec` has instead is said, if it is none of ours."""
    if type(value) in (int, float) and value <= most:
        return float(max(value, 0))
    notes.append(f"{what}={shown(value)} is not honoured, here {getattr(DecodeSpec(), name)}")
    return None


def _candidates_per_level(value: Any, notes: list[str]) -> int | None:
    """-1 is no limit; other numbers cut mmdetection's sorted list from its end, and 0 leaves none."""
    if value != -1 and (type(value) is not int or value < 1):
        notes.append(f"test_cfg: nms_pre={shown(value)} is not honoured, here all candidates are kept")
    return value if type(value) is int and 0 < value < 2**31 else None


def _limit(value: Any, notes: list[str]) -> int | None:
    """-1 is no limit."""
    if type(value) is not int:
        notes.append(f"test_cfg.nms: max_num={shown(value)} is not honoured")
    return value if type(value) is int and value > 0 else None


def _most(boxes: Any, notes: list[str]) -> int | None:
    """How many boxes are kept; -1 is no limit, and neither is None."""
    if boxes is None:
        boxes = -1
    if type(boxes) is not int:
        said = "no max_per_img" if boxes is UNKNOWN else f"max_per_img={shown(boxes)}, which is not honoured"
        notes.append(f"test_cfg has {said}: here {DecodeSpec().max_detections} boxes of an image are kept")
        return None
    if 0 < boxes <= NMS_ROWS:
        return boxes
    kept = "no" if boxes == 0 else "all" if boxes < 0 else f"up to {boxes}"
    notes.append(f"test_cfg: max_per_img={boxes} keeps {kept} boxes of an image, here up to {NMS_ROWS}")
    return NMS_ROWS
