"""Settings in the config text of an mmdetection checkpoint that change the arithmetic but neither names nor shapes."""

from collections.abc import Mapping
from typing import Any, Final

from detector.errors import CheckpointError
from export.checkpoints.dialects.mmdet.config import base_scale, section_of, whole_strides
from export.checkpoints.dialects.mmdet.config_text import UNKNOWN
from export.checkpoints.dialects.mmdet.heads import Head, Settings
from export.checkpoints.dialects.mmdet.keys import as_tuples, class_name, is_one_of
from export.checkpoints.reader import CheckpointFile

_PLAIN_CONV: Final = (None, {"type": "Conv2d"}, {"type": "Conv"})

# The nearest pixel; "nearest-exact" and "area" take others only where a side is not exactly twice as large.
_UPSAMPLING: Final[dict[str, tuple[Any, ...]]] = {
    "mode": ("nearest", "nearest-exact", "area"),
    "scale_factor": (None, 2, (2, 2)),
    "align_corners": (None,),
    "antialias": (False,),
}
_MOOT_OF_UPSAMPLING: Final = ("recompute_scale_factor",)

_SHARED: Final[Settings] = (
    ("backbone", "type", ("ResNet", "ResNeXt")),
    ("backbone", "num_stages", (4,)),
    ("backbone", "strides", ((1, 2, 2, 2),)),
    ("backbone", "dilations", ((1, 1, 1, 1),)),
    ("backbone", "conv_cfg", _PLAIN_CONV),
    ("backbone", "deep_stem", (False,)),
    ("backbone", "avg_down", (False,)),
    ("backbone", "plugins", (None, ())),
    ("neck", "type", ("FPN",)),
    ("neck", "add_extra_convs", (True, "on_input", "on_output")),
    ("neck", "act_cfg", (None,)),
    ("neck", "activation", (None,)),
    ("neck", "conv_cfg", _PLAIN_CONV),
    ("bbox_head", "conv_cfg", _PLAIN_CONV),
    ("bbox_head.loss_cls", "use_sigmoid", (True,)),
)


def refuse_settings(file: CheckpointFile, config: Mapping[str, Any], head: Head, *, levels: int) -> None:
    """Refuse a network whose names and shapes are ours, with so many pyramid levels, but whose arithmetic is not.

    Raises:
        CheckpointError: naming the setting.
    """
    for section, key, allowed in (*_SHARED, *head.limits):
        value = _plain(key, section_of(config, section).get(key, allowed[0]))
        if is_one_of(value, allowed):
            continue
        raise _refusal(file, f"{section}.{key}", value, " or ".join(map(_show, allowed)))
    _refuse_strides(file, config, levels)
    _refuse_base_sizes(file, config)
    _refuse_upsampling(file, section_of(config, "neck"))
    generator, coder = (section_of(config, f"bbox_head.{part}") for part in ("anchor_generator", "bbox_coder"))
    legacy = [class_name(part.get("type")).startswith("Legacy") for part in (generator, coder)]
    if generator and coder and legacy[0] != legacy[1]:
        raise CheckpointError(
            f"{file.path}: its config pairs {generator.get('type')} with {coder.get('type')}, "
            "this version exports the legacy ones together or neither"
        )
    if generator and (generator.get("center_offset", 0) == 0.5) != legacy[0]:
        raise CheckpointError(
            f"{file.path}: its config sets model.bbox_head.anchor_generator.center_offset = "
            f"{generator.get('center_offset', 0)} for {generator.get('type')}, this version exports 0 for "
            "AnchorGenerator and 0.5 for LegacyAnchorGenerator only"
        )


def _refuse_strides(file: CheckpointFile, config: Mapping[str, Any], levels: int) -> None:
    """One positive number per level; mmdetection knows pairs for x and y, too."""
    head, generator = section_of(config, "bbox_head"), section_of(config, "bbox_head.anchor_generator")
    for section, key in ((head, "strides"), (head, "anchor_strides"), (generator, "strides")):
        value = section.get(key)
        legal = len(whole_strides(value) or ()) == levels
        if value is not None and value is not UNKNOWN and not legal:
            raise CheckpointError(
                f"{file.path}: its config sets {key} = {_show(value)} for the head, expected {levels} positive integers"
            )


def _refuse_base_sizes(file: CheckpointFile, config: Mapping[str, Any]) -> None:
    """Sides of the anchors of scale 1: as many strides at all levels, which are scales then; the legacy ones none."""
    section, key = section_of(config, "bbox_head.anchor_generator"), "anchor_generator.base_sizes"
    legacy = class_name(section.get("type")).startswith("Legacy")
    if not section:  # 1.x
        section, key, legacy = section_of(config, "bbox_head"), "anchor_base_sizes", True
    factor = base_scale(section)
    if factor is None or (legacy and factor != 1):
        expected = "the strides" if legacy else "the strides, or the same multiple of all of them,"
        raise _refusal(file, f"bbox_head.{key}", section[key.rpartition(".")[2]], expected)


def _refuse_upsampling(file: CheckpointFile, neck: Mapping[str, Any]) -> None:
    """What is not the nearest pixel, twice as large."""
    settings = neck.get("upsample_cfg", {})
    known = isinstance(settings, dict) and all(
        key in _MOOT_OF_UPSAMPLING or is_one_of(value, _UPSAMPLING.get(key, ())) for key, value in settings.items()
    )
    if not known:
        raise _refusal(file, "neck.upsample_cfg", settings, "{'mode': 'nearest'}")


def exact_for_multiples(config: Mapping[str, Any]) -> str | None:
    """Why the network is that of the config only on canvases where every level is half the one before, or None."""
    settings = section_of(config, "neck").get("upsample_cfg")
    mode = settings.get("mode", "nearest") if isinstance(settings, dict) else "nearest"
    return None if mode == "nearest" else f"upsamples by {mode}, here by nearest"


def _plain(key: str, value: Any) -> Any:
    """A setting without what stands around the names in it: modules, and the registry they are looked up in."""
    if key == "type" and isinstance(value, str):
        return class_name(value)
    if isinstance(value, dict):
        return {name: _plain(name, one) for name, one in value.items() if name != "_scope_"}
    return as_tuples(value)


def _refusal(file: CheckpointFile, key: str, value: object, exported: str) -> CheckpointError:
    says = f"{file.path}: its config sets model.{key} = {_show(value)}"
    return CheckpointError(f"{says}, this version exports {exported} only")


def _show(value: object) -> str:
    return repr(value)[:80]
