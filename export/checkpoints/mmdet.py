"""FCOS of mmdetection 1.x, 2.x and 3.x: recognised by its names, renamed to ours, its facts read from the shapes.

Names: reference checkpoints.md section 4; mmdet/models/dense_heads/{anchor_free,fcos}_head.py, necks/fpn.py.
"""

import re
from collections.abc import Collection, Mapping
from typing import Final

import torch
from torch import Tensor

from detector.errors import CheckpointError
from detector.spec import Fact
from export.checkpoints.config_text import parse_config
from export.checkpoints.mmdet_config import NORM_EPS, refuse_settings, text_facts
from export.checkpoints.mmdet_recipe import read_recipe
from export.checkpoints.reader import CheckpointFile
from export.checkpoints.weights import ASSUMED, Fields, Weights, check_tensors, decide
from export.network.resnet import STAGE_BLOCKS

# Predictors: conv_* since 2.0, fcos_* before; mmdetection renames the old ones by their last word when it loads them.
_SIGNATURES: Final = (
    frozenset({"bbox_head.conv_cls.weight", "bbox_head.conv_reg.weight", "bbox_head.conv_centerness.weight"}),
    frozenset({"bbox_head.fcos_cls.weight", "bbox_head.fcos_reg.weight", "bbox_head.fcos_centerness.weight"}),
)

_RENAMES: Final = tuple(
    (re.compile(pattern), name)
    for pattern, name in (
        (r"(backbone\..+)", r"\1"),
        (r"neck\.lateral_convs\.(\d+)\.conv\.(weight|bias)", r"fpn.lateral.\1.\2"),
        (r"neck\.fpn_convs\.([012])\.conv\.(weight|bias)", r"fpn.output.\1.\2"),
        (r"neck\.fpn_convs\.3\.conv\.(weight|bias)", r"fpn.p6.\1"),
        (r"neck\.fpn_convs\.4\.conv\.(weight|bias)", r"fpn.p7.\1"),
        (r"bbox_head\.cls_convs\.(\d+)\.conv\.(.+)", r"head.cls_tower.\1.conv.\2"),
        (r"bbox_head\.reg_convs\.(\d+)\.conv\.(.+)", r"head.box_tower.\1.conv.\2"),
        (r"bbox_head\.cls_convs\.(\d+)\.(?:gn|bn)\.(.+)", r"head.cls_tower.\1.norm.\2"),
        (r"bbox_head\.reg_convs\.(\d+)\.(?:gn|bn)\.(.+)", r"head.box_tower.\1.norm.\2"),
        (r"bbox_head\.(?:conv|fcos)_cls\.(weight|bias)", r"head.cls.\1"),
        (r"bbox_head\.(?:conv|fcos)_reg\.(weight|bias)", r"head.box.\1"),
        (r"bbox_head\.(?:conv|fcos)_centerness\.(weight|bias)", r"head.ctr.\1"),
        (r"bbox_head\.scales\.(\d+)\.scale", r"head.scale.\1"),
    )
)

_LEVELS: Final = 5


def recognises(keys: Collection[str]) -> bool:
    """Whether names of tensors are those of an mmdetection FCOS."""
    return any(signature <= set(keys) for signature in _SIGNATURES)


def read(file: CheckpointFile, given: Mapping[str, Fact]) -> Weights:
    """Rename the tensors and find out what network they belong to.

    Args:
        file: whose names `recognises` accepts.
        given: what the user's spec says about the network.

    Raises:
        CheckpointError: the network is none that can be built here, or tensors are missing, left over or contradict
            the config text.
        SpecError: `given` contradicts the file.
    """
    tensors = _renamed(file)
    config = parse_config(_config_of(file.meta))
    refuse_settings(file, config)
    shapes = _shape_facts(file, tensors)
    text = text_facts(file, config, rows=shapes.values["num_classes"])
    network, sources = decide(file.path, shapes=shapes, text=text, guesses=_guesses(tensors, shapes, text), given=given)
    if network.head_norm == "BN" and network.bn_eps != NORM_EPS:
        # One eps serves all batch norms of our network; a head with an eps of its own was refused above.
        raise CheckpointError(
            f"{file.path}: batch norms of the backbone have eps {network.bn_eps}, those of the head {NORM_EPS}"
        )
    tensors = check_tensors(file.path, network, tensors)
    classes, sources["classes"] = _classes(file.meta, network.num_classes)
    return Weights("mmdet", "fcos", tensors, network, sources, classes, read_recipe(config))


def _renamed(file: CheckpointFile) -> dict[str, Tensor]:
    result: dict[str, Tensor] = {}
    left: list[str] = []
    for key, tensor in file.tensors.items():
        for pattern, name in _RENAMES:
            if match := pattern.fullmatch(key):
                result[match.expand(name)] = tensor
                break
        else:
            left.append(key)
    if left:
        more = f" and {len(left) - 3} more" if len(left) > 3 else ""
        raise CheckpointError(f"{file.path} has tensors that no plain FCOS has: {', '.join(sorted(left)[:3])}{more}")
    scales = [name for name in result if name.startswith("head.scale.")]
    if sorted(scales) != [f"head.scale.{level}" for level in range(_LEVELS)] or "fpn.p7.weight" not in result:
        plain = _count(result, "fpn.output.{}.weight", 9)
        extra = sum(f"fpn.p{level}.weight" in result for level in (6, 7))
        raise CheckpointError(
            f"{file.path} has {plain} + {extra} pyramid convolutions and {len(scales)} scales, "
            f"expected 3 + 2 and {_LEVELS} (P3 to P7)"
        )
    if any(result[name].numel() != 1 for name in scales):
        raise CheckpointError(f"{file.path}: a scale is no scalar, got shape {list(result[scales[0]].shape)}")
    result["head.scale"] = torch.stack([result.pop(f"head.scale.{level}").reshape(()) for level in range(_LEVELS)])
    return result


def _shape_facts(file: CheckpointFile, tensors: Mapping[str, Tensor]) -> Fields:
    facts = Fields()
    _backbone_facts(file, tensors, facts)
    channels, c5 = _conv(file, tensors, "fpn.lateral.2.weight")[:2]
    facts.add("fpn_channels", channels, "shape of neck.lateral_convs")
    p6 = _conv(file, tensors, "fpn.p6.weight")[1]
    if p6 not in (channels, c5):
        raise CheckpointError(
            f"{file.path}: the P6 convolution reads {p6} channels, expected {channels} (P5) or {c5} (C5)"
        )
    if channels != c5:
        facts.add("p6_from", "P5" if p6 == channels else "C5", "shape of neck.fpn_convs.3")
    classes, width = _conv(file, tensors, "head.cls.weight")[:2]
    facts.add("num_classes", classes, "shape of the class predictor")
    facts.add("head_channels", width, "shape of the class predictor")
    for branch in ("cls", "box"):
        facts.add(
            f"{branch}_convs", _count(tensors, f"head.{branch}_tower.{{}}.conv.weight", 100), "keys of the head towers"
        )
    if "head.cls_tower.0.conv.weight" in tensors:
        norm = "GN" if "head.cls_tower.0.norm.weight" in tensors else "none"
        facts.add(
            "head_norm", "BN" if "head.cls_tower.0.norm.running_mean" in tensors else norm, "keys of the head towers"
        )
        facts.add("tower_conv_bias", "head.cls_tower.0.conv.bias" in tensors, "keys of the head towers")
    return facts


def _backbone_facts(file: CheckpointFile, tensors: Mapping[str, Tensor], facts: Fields) -> None:
    blocks = tuple(_count(tensors, f"backbone.layer{stage}.{{}}.conv1.weight", 100) for stage in (1, 2, 3, 4))
    bottleneck = "backbone.layer1.0.conv3.weight" in tensors
    depths = [depth for depth, count in STAGE_BLOCKS.items() if count == blocks and bottleneck == (depth >= 50)]
    if not depths:
        kind = "bottleneck" if bottleneck else "basic"
        raise CheckpointError(
            f"{file.path}: the backbone has {blocks} {kind} blocks per stage, which is no ResNet-18/34/50/101/152"
        )
    facts.add("depth", depths[0], "keys of backbone.layer1 to layer4")
    facts.add("stem_channels", _conv(file, tensors, "backbone.conv1.weight")[0], "shape of backbone.conv1")
    last = "conv3" if bottleneck else "conv2"
    out = _conv(file, tensors, f"backbone.layer1.0.{last}.weight")[0]
    facts.add("base_channels", out // 4 if bottleneck else out, f"shape of backbone.layer1.0.{last}")
    width, per_group = _conv(file, tensors, "backbone.layer1.0.conv2.weight")[:2]
    if per_group == 0 or width % per_group:
        raise CheckpointError(f"{file.path}: backbone.layer1.0.conv2 has {width} channels in groups of {per_group}")
    groups = width // per_group
    facts.add("groups", groups, "shape of backbone.layer1.0.conv2")
    # Without groups the width of a block is its planes, which a base width of base_channels says in the same formula.
    facts.add(
        "base_width", per_group if groups > 1 else facts.values["base_channels"], "shape of backbone.layer1.0.conv2"
    )


def _guesses(tensors: Mapping[str, Tensor], shapes: Fields, text: Fields) -> Fields:
    """Values for what neither shapes nor text tell; what mmdetection's published FCOS configs have in common."""
    known = {**text.values, **shapes.values}
    facts = Fields()
    facts.add("style", *_style(tensors, groups=known["groups"], depth=known["depth"]))
    facts.add("bn_eps", NORM_EPS, f"{ASSUMED}mmdetection's default")
    facts.add("p6_from", "P5", f"{ASSUMED}as in all published configs (P5 and C5 have the same channels here)")
    facts.add("relu_before_p7", True, f"{ASSUMED}as in all published configs")
    facts.add("strides", (8, 16, 32, 64, 128), f"{ASSUMED}as in all published configs")
    facts.add("head_norm", "none", f"{ASSUMED}the towers are empty")
    facts.add("tower_conv_bias", False, f"{ASSUMED}the towers are empty")
    facts.add("norm_groups", 32, f"{ASSUMED}mmdetection's default")
    if known.get("head_norm") == "GN" and known["head_channels"] % 32:
        facts.add("norm_groups", None, f"{ASSUMED}32 groups do not divide {known['head_channels']} channels")
    # Of the published configs, those with GN and a bias in the towers, and only those, have both flags.
    improved = known.get("head_norm") == "GN" and bool(known.get("tower_conv_bias"))
    for flag in ("centerness_on_reg", "norm_on_bbox"):
        facts.add(
            flag,
            improved,
            f"{ASSUMED}head towers {'with' if improved else 'without'} both GN and bias, as in the published configs",
        )
    return facts


def _style(tensors: Mapping[str, Tensor], *, groups: int, depth: int) -> tuple[str, str]:
    if depth < 50:
        return "pytorch", f"{ASSUMED}basic blocks have no choice"
    means = [
        tensor for name, tensor in tensors.items() if name.startswith("backbone.") and name.endswith(".running_mean")
    ]
    variances = [
        tensor for name, tensor in tensors.items() if name.startswith("backbone.") and name.endswith(".running_var")
    ]
    # Caffe weights come with folded statistics, and mmdetection's caffe configs freeze them at mean 0 and variance 1.
    folded = all(bool((mean.abs() < 1e-4).all()) for mean in means) and all(
        bool(((var - 1).abs() < 1e-4).all()) for var in variances
    )
    if folded and groups == 1:
        return "caffe", f"{ASSUMED}running statistics of the backbone are 0 and 1, as in converted Caffe weights"
    return (
        "pytorch",
        f"{ASSUMED}{'grouped convolutions' if folded else 'running statistics of the backbone are real ones'}",
    )


def _classes(meta: Mapping[str, object], rows: int) -> tuple[tuple[str, ...] | None, str]:
    """Class names, if the file names as many as the head predicts."""
    dataset = meta.get("dataset_meta")
    places = [("meta.CLASSES", meta.get("CLASSES"))]
    if isinstance(dataset, dict):
        places += [(f"meta.dataset_meta.{key}", dataset.get(key)) for key in ("classes", "CLASSES")]
    for place, value in places:
        names = (value,) if isinstance(value, str) else value
        if not isinstance(names, tuple | list) or not all(isinstance(name, str) for name in names):
            continue
        if len(names) == rows:
            return tuple(names), place
        return None, f"{place} names {len(names)} classes, the head has {rows}: not used"
    return None, "the file names no classes"


def _config_of(meta: Mapping[str, object]) -> str:
    texts = [meta.get(key) for key in ("cfg", "config")]
    return next((text for text in texts if isinstance(text, str)), "")


def _conv(file: CheckpointFile, tensors: Mapping[str, Tensor], name: str) -> tuple[int, ...]:
    """Shape (out, in / groups, height, width) of a convolution."""
    if name not in tensors:
        raise CheckpointError(
            f"{file.path} has no {name} (canonical name): it is no FCOS with ResNet and FPN, or incomplete"
        )
    shape = tuple(tensors[name].shape)
    if len(shape) != 4:
        raise CheckpointError(f"{file.path}: {name} has shape {list(shape)}, expected four axes")
    return shape


def _count(tensors: Mapping[str, Tensor], name: str, limit: int) -> int:
    """How many of name.0, name.1, … there are without a gap."""
    return next((index for index in range(limit) if name.format(index) not in tensors), limit)
