"""Settings in the config text of an mmdetection checkpoint that change the arithmetic but neither names nor shapes."""

from collections.abc import Mapping
from typing import Any, Final

from detector.errors import CheckpointError
from export.checkpoints.config_text import UNKNOWN
from export.checkpoints.mmdet_config import NORM_EPS, as_tuples, section_of
from export.checkpoints.reader import CheckpointFile
from export.network.config import LEVELS, FcosNetwork, Network

_PLAIN_CONV: Final = (None, {"type": "Conv2d"}, {"type": "Conv"})

# Settings that change the arithmetic without showing in names or shapes: (section, key, what this version does).
_Settings = tuple[tuple[str, str, tuple[Any, ...]], ...]
_SHARED: Final[_Settings] = (
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
    ("neck", "upsample_cfg", ({"mode": "nearest"}, {"mode": "nearest", "scale_factor": 2})),
    ("bbox_head", "conv_cfg", _PLAIN_CONV),
    ("bbox_head.norm_cfg", "eps", (NORM_EPS,)),
    ("bbox_head.loss_cls", "use_sigmoid", (True,)),
)
_FCOS: Final[_Settings] = (
    ("bbox_head", "type", ("FCOSHead",)),
    ("bbox_head", "dcn_on_last_conv", (False,)),
    ("bbox_head", "cls_predictor_cfg", (None,)),
    ("bbox_head.bbox_coder", "type", ("DistancePointBBoxCoder",)),
    ("bbox_head.bbox_coder", "clip_border", (True,)),
)
_RETINANET: Final[_Settings] = (
    ("bbox_head", "type", ("RetinaHead",)),
    ("bbox_head", "reg_decoded_bbox", (False,)),
    ("bbox_head", "target_means", ((0, 0, 0, 0),)),
    ("bbox_head", "target_stds", ((1, 1, 1, 1),)),
    ("bbox_head.bbox_coder", "type", ("DeltaXYWHBBoxCoder", "LegacyDeltaXYWHBBoxCoder")),
    ("bbox_head.bbox_coder", "target_means", ((0, 0, 0, 0),)),
    ("bbox_head.bbox_coder", "target_stds", ((1, 1, 1, 1),)),
    ("bbox_head.bbox_coder", "clip_border", (True,)),
    ("bbox_head.bbox_coder", "add_ctr_clamp", (False,)),
    ("bbox_head.anchor_generator", "type", ("AnchorGenerator", "LegacyAnchorGenerator")),
    ("bbox_head.anchor_generator", "base_sizes", (None,)),
    ("bbox_head.anchor_generator", "scale_major", (True,)),
    ("bbox_head.anchor_generator", "centers", (None,)),
    ("bbox_head.anchor_generator", "center_offset", (0, 0.5)),
)


def refuse_settings(file: CheckpointFile, config: Mapping[str, Any], kind: type[Network]) -> None:
    """Refuse a network whose names and shapes are ours but whose arithmetic is not.

    Raises:
        CheckpointError: naming the setting.
    """
    for section, key, allowed in (*_SHARED, *(_FCOS if kind is FcosNetwork else _RETINANET)):
        value = as_tuples(section_of(config, section).get(key, allowed[0]))
        if key == "type" and isinstance(value, str):
            value = value.rpartition(".")[2]  # `mmdet.FCOSHead`, or a class's full path
        if value in allowed:
            continue
        raise CheckpointError(
            f"{file.path}: its config sets model.{section}.{key} = {_show(value)}, "
            f"this version exports {' or '.join(_show(one) for one in allowed)} only"
        )
    _refuse_strides(file, config)
    generator, coder = (section_of(config, f"bbox_head.{part}") for part in ("anchor_generator", "bbox_coder"))
    legacy = [str(part.get("type")).rpartition(".")[2].startswith("Legacy") for part in (generator, coder)]
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


def _refuse_strides(file: CheckpointFile, config: Mapping[str, Any]) -> None:
    """One positive number per level; mmdetection knows pairs for x and y, too."""
    head, generator = section_of(config, "bbox_head"), section_of(config, "bbox_head.anchor_generator")
    for section, key in ((head, "strides"), (head, "anchor_strides"), (generator, "strides")):
        value = section.get(key)
        legal = isinstance(value, list | tuple) and all(type(stride) is int and stride > 0 for stride in value)
        if value is not None and value is not UNKNOWN and not (legal and len(value) == LEVELS):
            raise CheckpointError(
                f"{file.path}: its config sets {key} = {_show(value)} for the head, expected {LEVELS} positive integers"
            )


def _show(value: object) -> str:
    return repr(value)[:80]
