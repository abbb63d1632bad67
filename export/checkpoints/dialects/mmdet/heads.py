"""The heads of mmdetection that this version reads: one entry per family, with all that is a head's own.

Sources: mmdet/models/dense_heads/{anchor_free,fcos,retina,atss}_head.py in mmdetection 3.3, and what 1.x called their
settings; mmdetection itself renames old spellings of the predictors by their last word.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from export.checkpoints.dialects.mmdet.config import HeadFacts, anchor_facts, fcos_facts, floats, setting_of
from export.checkpoints.weighing.network_facts import ASSUMED, Facts
from export.families import atss, fcos, retinanet
from export.families.family import Family

Settings = tuple[tuple[str, str, tuple[Any, ...]], ...]
"""Settings that change the arithmetic without showing in names or shapes: (section, key, what this version does)."""
_CODE: Final = "mmdetection's code"


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """The head of a family, as files and configs of mmdetection have it.

    Attributes:
        family: of detectors.
        model: type of the whole detector in a config.
        predictors: with what their names began over time: "conv" is of `bbox_head.conv_cls`.
        parts: how they end.
        limits: settings that are refused unless they are as here; the first value is mmdetection's default.
        known: names of further settings of `bbox_head` that are read, refused by `limits`, or for training.
        facts: adds what `bbox_head` of a config, and the file's meta data, say about the head.
        guesses: what the published configs have in common, by what is known about the network.
        bare: field of the network -> why it is asked for where a file carries no config.
        lone: what has these names, too, and one box per cell; None: this one.
    """

    family: Family
    model: str
    predictors: tuple[str, ...]
    parts: tuple[str, ...]
    limits: Settings
    known: str
    facts: HeadFacts
    guesses: Callable[[Mapping[str, object]], Facts]
    bare: Mapping[str, str] = field(default_factory=dict)
    lone: str | None = None

    def is_among(self, keys: Collection[str]) -> bool:
        """Whether names of tensors have all its predictors."""
        return any(all(f"bbox_head.{word}_{part}.weight" in keys for part in self.parts) for word in self.predictors)


def _fcos_guesses(known: Mapping[str, object]) -> Facts:
    facts = Facts.of(_CODE, point_offset=0.5)
    # Of the published configs, those with GN and a bias in the towers, and only those, have both flags.
    improved = known.get("cls_norm") == "GN" and bool(known.get("tower_conv_bias"))
    why = f"{ASSUMED}head towers {'with' if improved else 'without'} both GN and bias, as in the published configs"
    for flag in ("centerness_on_reg", "norm_on_bbox"):
        facts.add(flag, improved, why, default=True)
    return facts


def _anchor_guesses(_: Mapping[str, object]) -> Facts:
    facts = Facts.of(_CODE, anchor_order="ratio", delta_clamp="both")
    facts.add("relu_before_p7", False, f"{ASSUMED}mmdetection's default")
    facts.add("anchor_rounding", "none", f"{ASSUMED}the config names no legacy generator")
    return facts


def _atss_facts(facts: Facts, head: Mapping[str, Any], meta: Mapping[str, object]) -> None:
    anchor_facts(facts, head, meta)
    coder = setting_of(head, "bbox_coder", {})  # of its own since 2.0
    where, prefix = (coder, ".bbox_coder") if isinstance(coder, dict) and coder else (head, "")
    if (stds := floats(setting_of(where, "target_stds", (1, 1, 1, 1)))) is not None:
        facts.add("delta_stds", stds, f"config text (model.bbox_head{prefix}.target_stds)")


_BOXES: Final[Settings] = (
    ("bbox_head.bbox_coder", "clip_border", (True,)),
    ("bbox_head.bbox_coder", "add_ctr_clamp", (False,)),
    ("bbox_head.anchor_generator", "scale_major", (True,)),
    ("bbox_head.anchor_generator", "centers", (None,)),
)
_ANCHORS: Final = """
    anchor_generator reg_decoded_bbox octave_base_scale scales_per_octave anchor_ratios anchor_strides anchor_base_sizes
    target_means target_stds
"""

HEADS: Final = (
    Head(
        family=fcos.FAMILY,
        model="FCOS",
        predictors=("conv", "fcos"),
        parts=("cls", "reg", "centerness"),
        limits=(
            ("bbox_head", "type", ("FCOSHead",)),
            ("bbox_head", "dcn_on_last_conv", (False,)),
            ("bbox_head", "cls_predictor_cfg", (None,)),
            ("bbox_head.bbox_coder", "type", ("DistancePointBBoxCoder",)),
            ("bbox_head.bbox_coder", "clip_border", (True,)),
        ),
        known="""dcn_on_last_conv conv_bias regress_ranges center_sampling center_sample_radius norm_on_bbox
            centerness_on_reg cls_predictor_cfg loss_centerness""",
        facts=fcos_facts,
        guesses=_fcos_guesses,
    ),
    Head(
        family=retinanet.FAMILY,
        model="RetinaNet",
        predictors=("retina",),
        parts=("cls", "reg"),
        limits=(
            ("bbox_head", "type", ("RetinaHead",)),
            ("bbox_head", "reg_decoded_bbox", (False,)),
            ("bbox_head", "target_means", ((0, 0, 0, 0),)),
            ("bbox_head", "target_stds", ((1, 1, 1, 1),)),
            ("bbox_head.bbox_coder", "type", ("DeltaXYWHBBoxCoder", "LegacyDeltaXYWHBBoxCoder")),
            ("bbox_head.bbox_coder", "target_means", ((0, 0, 0, 0),)),
            ("bbox_head.bbox_coder", "target_stds", ((1, 1, 1, 1),)),
            ("bbox_head.anchor_generator", "type", ("AnchorGenerator", "LegacyAnchorGenerator")),
            ("bbox_head.anchor_generator", "center_offset", (0, 0.5)),
            *_BOXES,
        ),
        known=_ANCHORS,
        facts=anchor_facts,
        guesses=_anchor_guesses,
        bare={
            "anchor_rounding": "the names are also those of FreeAnchor and of mmdetection 1.x, and the file carries no "
            "config: 'none' for RetinaNet of 2.x and 3.x, 'legacy' for that of 1.x"
        },
        lone="FSAF, which has no anchors",
    ),
    Head(
        family=atss.FAMILY,
        model="ATSS",
        predictors=("atss",),
        parts=("cls", "reg", "centerness"),
        limits=(
            ("bbox_head", "type", ("ATSSHead",)),
            ("bbox_head", "pred_kernel_size", (3,)),
            ("bbox_head", "target_means", ((0, 0, 0, 0),)),
            ("bbox_head.bbox_coder", "type", ("DeltaXYWHBBoxCoder",)),
            ("bbox_head.bbox_coder", "target_means", ((0, 0, 0, 0),)),
            ("bbox_head.anchor_generator", "type", ("AnchorGenerator",)),
            ("bbox_head.anchor_generator", "center_offset", (0,)),
            *_BOXES,
        ),
        known=f"{_ANCHORS} pred_kernel_size",
        facts=_atss_facts,
        guesses=_anchor_guesses,
        bare={
            "delta_stds": "the names are also those of PAA, which is not exported, and the file carries no config: "
            "'0.1,0.1,0.2,0.2' for ATSS"
        },
    ),
)
