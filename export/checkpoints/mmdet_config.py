"""What the config text of an mmdetection checkpoint says about the network: facts, and what cannot be exported."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from detector.errors import CheckpointError
from export.checkpoints.config_text import SPLAT, UNKNOWN
from export.checkpoints.reader import CheckpointFile
from export.checkpoints.weights import Fields

NORM_EPS: Final = 1e-5  # torch's default for batch and group norms, which mmcv leaves alone

_PLAIN_CONV: Final = (None, {"type": "Conv2d"}, {"type": "Conv"})

# Settings that change the arithmetic without showing in names or shapes: (section, key, what this version does).
_EXPORTABLE: Final[tuple[tuple[str, str, tuple[Any, ...]], ...]] = (
    ("backbone", "type", ("ResNet", "ResNeXt")),
    ("backbone", "num_stages", (4,)),
    ("backbone", "strides", ((1, 2, 2, 2),)),
    ("backbone", "dilations", ((1, 1, 1, 1),)),
    ("backbone", "conv_cfg", _PLAIN_CONV),
    ("neck", "type", ("FPN",)),
    ("neck", "add_extra_convs", (True, "on_input", "on_output")),
    ("neck", "act_cfg", (None,)),
    ("neck", "activation", (None,)),
    ("neck", "conv_cfg", _PLAIN_CONV),
    ("neck", "upsample_cfg", ({"mode": "nearest"}, {"mode": "nearest", "scale_factor": 2})),
    ("bbox_head", "type", ("FCOSHead",)),
    ("bbox_head", "conv_cfg", _PLAIN_CONV),
    ("bbox_head", "dcn_on_last_conv", (False,)),
    ("bbox_head", "cls_predictor_cfg", (None,)),
    ("bbox_head.norm_cfg", "eps", (NORM_EPS,)),
    ("bbox_head.loss_cls", "use_sigmoid", (True,)),
    ("bbox_head.bbox_coder", "type", ("DistancePointBBoxCoder",)),
    ("bbox_head.bbox_coder", "clip_border", (True,)),
)


def refuse_settings(file: CheckpointFile, config: Mapping[str, Any]) -> None:
    """Refuse a network whose names and shapes are ours but whose arithmetic is not.

    Raises:
        CheckpointError: naming the setting.
    """
    for section, key, allowed in _EXPORTABLE:
        value = _tuples(_get(_section(config, section), key, UNKNOWN))
        if key == "type" and isinstance(value, str):
            value = value.rpartition(".")[2]  # `mmdet.FCOSHead`, or a class's full path
        if value is UNKNOWN or value in allowed:
            continue
        raise CheckpointError(
            f"{file.path}: its config sets model.{section}.{key} = {_show(value)}, "
            f"this version exports {' or '.join(_show(one) for one in allowed)} only"
        )


def text_facts(file: CheckpointFile, config: Mapping[str, Any], *, rows: int) -> Fields:
    """Facts about the network that the config text states, or leaves at mmdetection's default.

    Args:
        file: for its meta data.
        config: parsed; {} gives no facts.
        rows: classes that the head predicts.
    """
    facts = Fields()
    backbone, neck, head = (_section(config, name) for name in ("backbone", "neck", "bbox_head"))
    if backbone:
        _backbone_facts(facts, backbone)
    if neck:
        _note(facts, "fpn_channels", neck, "neck.out_channels", int)
        _note(facts, "relu_before_p7", neck, "neck.relu_before_extra_convs", bool, default=False)
        _p6_fact(facts, neck)
    if head:
        _head_facts(facts, head)
        _class_count(facts, head, file.meta, rows)
    return facts


def _backbone_facts(facts: Fields, backbone: Mapping[str, Any]) -> None:
    _note(facts, "depth", backbone, "backbone.depth", int)
    _note(facts, "style", backbone, "backbone.style", str, default="pytorch")
    _note(facts, "stem_channels", backbone, "backbone.stem_channels", int)
    _note(facts, "base_channels", backbone, "backbone.base_channels", int)
    _note(facts, "groups", backbone, "backbone.groups", int)
    if facts.values.get("groups", 1) > 1:
        _note(facts, "base_width", backbone, "backbone.base_width", int)
    norm = _get(backbone, "norm_cfg", {})
    if isinstance(norm, dict):
        _note(facts, "bn_eps", norm, "backbone.norm_cfg.eps", float, default=NORM_EPS)


def _p6_fact(facts: Fields, neck: Mapping[str, Any]) -> None:
    extra = _get(neck, "add_extra_convs", UNKNOWN)
    if extra is True:
        # Until 2.1 a flag of its own told the input of P6; it defaults to the backbone's C5, as True still does today.
        on_input = _get(neck, "extra_convs_on_inputs", True)
        extra = {True: "on_input", False: "on_output"}.get(on_input, UNKNOWN) if isinstance(on_input, bool) else UNKNOWN
    if extra in ("on_input", "on_output"):
        facts.add("p6_from", "C5" if extra == "on_input" else "P5", "config text (model.neck.add_extra_convs)")


def _head_facts(facts: Fields, head: Mapping[str, Any]) -> None:
    _note(facts, "head_channels", head, "bbox_head.feat_channels", int)
    _note(facts, "cls_convs", head, "bbox_head.stacked_convs", int)
    _note(facts, "box_convs", head, "bbox_head.stacked_convs", int)
    _note(facts, "centerness_on_reg", head, "bbox_head.centerness_on_reg", bool, default=False)
    _note(facts, "norm_on_bbox", head, "bbox_head.norm_on_bbox", bool, default=False)
    _note(facts, "tower_conv_bias", head, "bbox_head.conv_bias", bool)
    # AnchorFreeHead's own default, strides 4 to 64, is hardly meant for P3 to P7, but then it is what was trained.
    strides = _tuples(_get(head, "strides", (4, 8, 16, 32, 64)))
    if isinstance(strides, tuple) and all(type(stride) is int and stride > 0 for stride in strides):
        facts.add("strides", strides, _source(head, "bbox_head.strides"))
    if "norm_cfg" not in head:
        # FCOSHead's default since 2.0; heads without norm have no use for it.
        _note(facts, "norm_groups", head, "bbox_head.norm_groups", int, default=32)
    norm = _get(head, "norm_cfg", UNKNOWN)
    if norm is None:
        facts.add("head_norm", "none", "config text (model.bbox_head.norm_cfg)")
    if isinstance(norm, dict):
        kinds = {"GN": "GN", "BN": "BN", "SyncBN": "BN", "MMSyncBN": "BN", "BN2d": "BN"}
        if (kind := kinds.get(_text(_get(norm, "type", UNKNOWN)))) is not None:
            facts.add("head_norm", kind, "config text (model.bbox_head.norm_cfg)")
        _note(facts, "norm_groups", norm, "bbox_head.norm_cfg.num_groups", int)


def _class_count(facts: Fields, head: Mapping[str, Any], meta: Mapping[str, object], rows: int) -> None:
    count = _get(head, "num_classes", UNKNOWN)
    if type(count) is not int:
        return
    version = _text(meta.get("mmdet_version"))
    # 0.x and 1.x count the background; a file without a version may be of either kind.
    counts_background = version.startswith(("0.", "1.")) or (
        not version and "mmengine_version" not in meta and rows == count - 1
    )
    note = ", which counts the background" if counts_background else ""
    facts.add(
        "num_classes", count - 1 if counts_background else count, f"config text (model.bbox_head.num_classes{note})"
    )


def _note(
    facts: Fields,
    name: str,
    section: Mapping[str, Any],
    path: str,
    kind: Callable[[Any], Any],
    *,
    default: Any = UNKNOWN,
) -> None:
    """Add what a setting says; nothing if it is unknown or of another type."""
    value = _get(section, path.rpartition(".")[2], default)
    if kind is float and type(value) is int:
        value = float(value)
    if type(value) is kind:
        facts.add(name, value, _source(section, path))


def _source(section: Mapping[str, Any], path: str) -> str:
    is_set = path.rpartition(".")[2] in section
    return f"config text (model.{path})" if is_set else f"config text (mmdetection's default of model.{path})"


def _section(config: Mapping[str, Any], path: str) -> dict[str, Any]:
    value: Any = config
    for key in ("model", *path.split(".")):
        value = value.get(key) if isinstance(value, dict) else None
    return value if isinstance(value, dict) else {}


def _get(section: Mapping[str, Any], key: str, default: Any) -> Any:
    """A setting; unknown if it may hide in a part of the section that could not be read."""
    if key in section:
        return section[key]
    return UNKNOWN if SPLAT in section else default


def _tuples(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _show(value: object) -> str:
    return repr(value)[:80]
