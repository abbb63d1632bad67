"""What the config text of an mmdetection checkpoint says about the network."""

import math
from collections.abc import Callable, Mapping
from typing import Any, Final

from export.checkpoints.dialects.mmdet.config_text import SPLAT, UNKNOWN
from export.checkpoints.dialects.mmdet.keys import as_tuples, class_name, truth, whole
from export.checkpoints.reader import CheckpointFile
from export.checkpoints.weighing.network_facts import Facts

NORM_EPS: Final = 1e-5  # torch's default for batch and group norms, which mmcv leaves alone
# Names of mmcv's registry, and torch's classes, which a config may name by their path.
_NORMS: Final = {
    **dict.fromkeys(("GN", "GroupNorm"), "GN"),
    **dict.fromkeys(("BN", "BN2d", "SyncBN", "MMSyncBN", "BatchNorm2d", "SyncBatchNorm"), "BN"),
}


HeadFacts = Callable[[Facts, Mapping[str, Any], Mapping[str, object]], None]


def text_facts(file: CheckpointFile, config: Mapping[str, Any], head_facts: HeadFacts, *, rows: int) -> Facts:
    """Facts about the network that the config text states, or leaves at mmdetection's default.

    Args:
        file: for its meta data.
        config: parsed; {} gives no facts.
        head_facts: adds what `bbox_head` and the file's meta data say about a family's head.
        rows: classes that the head predicts.
    """
    facts = Facts()
    backbone, neck, head = (section_of(config, name) for name in ("backbone", "neck", "bbox_head"))
    if backbone:
        _backbone_facts(facts, backbone)
    if neck:
        _note(facts, "fpn_channels", neck, "neck.out_channels", int)
        _note(facts, "relu_before_p7", neck, "neck.relu_before_extra_convs", bool, default=False)
        _p6_fact(facts, neck)
    if head:
        _head_facts(facts, head)
        _class_count(facts, head, file.meta, rows, unknown=is_of_no_version(file.meta, config))
        head_facts(facts, head, file.meta)
    return facts


def _backbone_facts(facts: Facts, backbone: Mapping[str, Any]) -> None:
    _note(facts, "depth", backbone, "backbone.depth", int)
    _note(facts, "style", backbone, "backbone.style", str, default="pytorch")
    _note(facts, "stem_channels", backbone, "backbone.stem_channels", int)
    _note(facts, "base_channels", backbone, "backbone.base_channels", int)
    _note(facts, "groups", backbone, "backbone.groups", int)
    if facts.values.get("groups", 1) > 1:
        _note(facts, "base_width", backbone, "backbone.base_width", int)
    norm = setting_of(backbone, "norm_cfg", {})
    if isinstance(norm, dict):
        _note(facts, "bn_eps", norm, "backbone.norm_cfg.eps", float, default=NORM_EPS)


def _p6_fact(facts: Facts, neck: Mapping[str, Any]) -> None:
    extra = setting_of(neck, "add_extra_convs", UNKNOWN)
    if extra is True:
        # Until 2.1 a flag of its own told the input of P6; it defaults to the backbone's C5, as True still does today.
        on_input = setting_of(neck, "extra_convs_on_inputs", True)
        extra = {True: "on_input", False: "on_output"}.get(on_input, UNKNOWN) if isinstance(on_input, bool) else UNKNOWN
    if extra in ("on_input", "on_output"):
        facts.add("p6_from", "C5" if extra == "on_input" else "P5", "config text (model.neck.add_extra_convs)")


def _head_facts(facts: Facts, head: Mapping[str, Any]) -> None:
    _note(facts, "head_channels", head, "bbox_head.feat_channels", int)
    _note(facts, "cls_convs", head, "bbox_head.stacked_convs", int)
    _note(facts, "box_convs", head, "bbox_head.stacked_convs", int)
    if "norm_cfg" not in head:
        # FCOSHead's default since 2.0; heads without norm have no use for it.
        _note(facts, "norm_groups", head, "bbox_head.norm_groups", int, default=32)
    norm = setting_of(head, "norm_cfg", UNKNOWN)
    name = "none" if norm is None else _NORMS.get(class_name(norm.get("type"))) if isinstance(norm, dict) else None
    for branch in ("cls_norm", "box_norm") if name is not None else ():
        facts.add(branch, name, "config text (model.bbox_head.norm_cfg)")
    if isinstance(norm, dict):
        _note(facts, "norm_groups", norm, "bbox_head.norm_cfg.num_groups", int)
    if name == "GN":
        _note(facts, "gn_eps", norm, "bbox_head.norm_cfg.eps", float, default=NORM_EPS)


def fcos_facts(facts: Facts, head: Mapping[str, Any], _: Mapping[str, object]) -> None:
    """Flags of FCOS' head, and the strides."""
    _note(facts, "centerness_on_reg", head, "bbox_head.centerness_on_reg", bool, default=False)
    _note(facts, "norm_on_bbox", head, "bbox_head.norm_on_bbox", bool, default=False)
    if isinstance(head.get("conv_bias"), bool):  # "auto" is as the norm has it
        _note(facts, "tower_conv_bias", head, "bbox_head.conv_bias", bool)
    # AnchorFreeHead's own default, strides 4 to 64, is hardly meant for P3 to P7, but then it is what was trained.
    _strides(facts, head, "bbox_head.strides", default=(4, 8, 16, 32, 64))


def anchor_facts(facts: Facts, head: Mapping[str, Any], meta: Mapping[str, object]) -> None:
    """Settings of the anchors: in a generator of their own since 2.0, before among those of the head."""
    generator = setting_of(head, "anchor_generator", {})
    where: Mapping[str, Any]
    if isinstance(generator, dict) and generator:
        where, prefix, ratios = generator, "bbox_head.anchor_generator", "ratios"
        legacy = class_name(generator.get("type")) == "LegacyAnchorGenerator"
        _strides(facts, where, f"{prefix}.strides", default=UNKNOWN)
    else:
        where, prefix, ratios, legacy = head, "bbox_head", "anchor_ratios", counts_background(meta)
        _strides(facts, where, f"{prefix}.anchor_strides", default=(8, 16, 32, 64, 128))
    facts.add("anchor_rounding", "legacy" if legacy else "none", f"config text (model.{prefix})")
    _anchor_scales(facts, where, f"model.{prefix}", factor=base_scale(where) or 1.0)
    if values := floats(setting_of(where, ratios, UNKNOWN)):
        facts.add("anchor_ratios", values, f"config text (model.{prefix}.{ratios})")


def _anchor_scales(facts: Facts, where: Mapping[str, Any], section: str, *, factor: float) -> None:
    base, octaves = setting_of(where, "octave_base_scale", UNKNOWN), setting_of(where, "scales_per_octave", UNKNOWN)
    scales, key = floats(setting_of(where, "scales", UNKNOWN)), "scales"
    if type(base) in (int, float) and type(octaves) is int and 0 < octaves < 100:
        scales, key = tuple(float(base * 2 ** (octave / octaves)) for octave in range(octaves)), "octave_base_scale"
    if scales:
        sizes = "" if factor == 1 else " and base_sizes"
        facts.add("anchor_scales", tuple(scale * factor for scale in scales), f"config text ({section}.{key}{sizes})")


def base_scale(section: Mapping[str, Any]) -> float | None:
    """How many strides the anchors of scale 1 are wide: 1, or what the base sizes of all levels say alike.

    Args:
        section: settings of an anchor generator, or of a head of 1.x.

    Returns:
        None if the base sizes are no such multiple, or could not be read.
    """
    prefix = "" if "strides" in section else "anchor_"
    sizes, strides = section.get(f"{prefix}base_sizes"), whole_strides(section.get(f"{prefix}strides"))
    if sizes is None:
        return 1.0
    sizes = floats(sizes)
    if sizes is None or strides is None or len(sizes) != len(strides):
        return None
    factor = sizes[0] / strides[0]
    alike = all(math.isclose(size, factor * stride) for size, stride in zip(sizes, strides, strict=True))
    return factor if alike else None


def _strides(facts: Facts, section: Mapping[str, Any], path: str, *, default: Any) -> None:
    if (strides := whole_strides(setting_of(section, path.rpartition(".")[2], default))) is not None:
        facts.add("strides", strides, _source(section, path))


def whole_strides(value: Any) -> tuple[int, ...] | None:
    """Positive whole numbers; for x and y alike where they are pairs. None if they are none."""
    listed = as_tuples(value) if isinstance(value, list | tuple) else ()
    alike = [isinstance(one, tuple) and len(one) in (1, 2) and one == one[:1] * len(one) for one in listed]
    numbers = [whole(one[0] if same else one) for one, same in zip(listed, alike, strict=True)]
    strides = tuple(number for number in numbers if number is not None and number > 0)
    return strides if listed and len(strides) == len(listed) else None


def floats(value: Any) -> tuple[float, ...] | None:
    """Positive numbers; None if they are none."""
    value = as_tuples(value)
    legal = isinstance(value, tuple) and value and all(type(one) in (int, float) and one > 0 for one in value)
    return tuple(map(float, value)) if legal else None


def counts_background(meta: Mapping[str, object]) -> bool:
    """Whether the file is of mmdetection 0.x or 1.x, which count the background among the classes."""
    return _text(meta.get("mmdet_version")).startswith(("0.", "1."))


def is_of_no_version(meta: Mapping[str, object], config: Mapping[str, Any]) -> bool:
    """Whether neither a file nor the form of its config tells that it is of 3.x, and no version of 0.x to 2.x is named.

    Args:
        meta: of the file.
        config: parsed text.
    """
    model = config.get("model")
    preprocessed = isinstance(model, dict) and "data_preprocessor" in model
    modern = preprocessed or any(key in config for key in ("data_preprocessor", "test_dataloader", "train_dataloader"))
    return not (_text(meta.get("mmdet_version")) or "mmengine_version" in meta or "dataset_meta" in meta or modern)


def _class_count(
    facts: Facts, head: Mapping[str, Any], meta: Mapping[str, object], rows: int, *, unknown: bool
) -> None:
    count = setting_of(head, "num_classes", UNKNOWN)
    if type(count) is not int:
        return
    # A file without a version may be of either kind.
    background = counts_background(meta) or (unknown and rows == count - 1)
    note = ", which counts the background" if background else ""
    facts.add("num_classes", count - 1 if background else count, f"config text (model.bbox_head.num_classes{note})")


def _note(
    facts: Facts,
    name: str,
    section: Mapping[str, Any],
    path: str,
    kind: Callable[[Any], Any],
    *,
    default: Any = UNKNOWN,
) -> None:
    """Add what a setting says; nothing if it is unknown or of another type."""
    value = setting_of(section, path.rpartition(".")[2], default)
    if kind is float and type(value) is int:
        value = float(value)
    if kind is bool:
        value = truth(value)
    if type(value) is kind:
        facts.add(name, value, _source(section, path))


def _source(section: Mapping[str, Any], path: str) -> str:
    is_set = path.rpartition(".")[2] in section
    return f"config text (model.{path})" if is_set else f"config text (mmdetection's default of model.{path})"


def section_of(config: Mapping[str, Any], path: str) -> dict[str, Any]:
    """Settings of a part of the model, such as "bbox_head.bbox_coder"; {} if there are none."""
    value: Any = config
    for key in ("model", *path.split(".")):
        value = value.get(key) if isinstance(value, dict) else None
    return value if isinstance(value, dict) else {}


def setting_of(section: Mapping[str, Any], key: str, default: Any) -> Any:
    """A setting; unknown if it may hide in a part of the section that could not be read."""
    if key in section:
        return section[key]
    return UNKNOWN if SPLAT in section else default


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
