"""Small detectors under the names of every framework, written down here independently of the code that reads them.

A network is made under our names and renamed: `SPELLINGS[dialect](tensors)`.
"""

import dataclasses
import functools
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from export.checkpoints import examine
from export.checkpoints.reader import CheckpointFile
from export.checkpoints.weighing.weights import Reading, Weights
from export.checkpoints.wrappers import unwrap
from export.network.config import Network
from tests.export.networks import SMALL, SMALL_ATSS, SMALL_RETINANET, random_detector

State = dict[str, Tensor]
FCOS = dataclasses.replace(SMALL, cls_convs=2, box_convs=2, norm_groups=32)
ATSS = dataclasses.replace(SMALL_ATSS, cls_convs=2, box_convs=2, norm_groups=32)
RETINANET = dataclasses.replace(SMALL_RETINANET, cls_convs=2, box_convs=2, num_classes=2, p6_from="C5")


@functools.lru_cache(maxsize=16)
def _random_state(config: Network) -> State:
    return {name: t for name, t in random_detector(config).state_dict().items() if "num_batches" not in name}


def tensors_of(config: Network, *, statistics: str = "real") -> State:
    """A random network by our names, the running statistics of its backbone "real", "folded" (0 and 1) or "none"."""
    state = dict(_random_state(config))
    for name in [name for name in state if name.startswith("backbone.") and "running_" in name]:
        if statistics == "none":
            del state[name]
        elif statistics == "folded":
            state[name] = torch.full_like(state[name], float(name.endswith("var")))
    return state


@dataclass(frozen=True)
class Spelling:
    """How a framework calls the parts of a network.

    Attributes:
        stem: convolution and norm.
        stage: of the number of a stage, 1 to 4.
        conv: of a block, by its number; with the norm behind it.
        norm: of a block, by its number.
        downsample: convolution and norm.
        lateral: of C3 to C5.
        output: of P3 to P5.
        extra: P6 and P7.
        towers: of classes and boxes: with {} for the position; layers are counted as in a Sequential unless `modules`.
        modules: names of a tower's convolution and norm of one layer, where every layer is a module of its own.
        predictors: of classes, boxes and centerness.
        scale: with {} for the level.
        words: of the tensors of a norm, where they are not torch's.
    """

    stem: tuple[str, str]
    stage: Callable[[int], str]
    conv: Callable[[int], str]
    norm: Callable[[int], str]
    downsample: tuple[str, str]
    lateral: tuple[str, str, str]
    output: tuple[str, str, str]
    extra: tuple[str, str]
    towers: tuple[str, str]
    predictors: tuple[str, str, str]
    modules: tuple[str, str] | None = None
    scale: str | None = None
    scale_shape: tuple[int, ...] = (1,)
    words: Mapping[str, str] | None = None

    def __call__(self, tensors: State) -> State:
        """The tensors by the framework's names."""
        result: State = {}
        for name, tensor in tensors.items():
            if name == "head.scale":
                assert self.scale is not None
                result |= {self.scale.format(level): one.reshape(self.scale_shape) for level, one in enumerate(tensor)}
                continue
            module, _, word = name.rpartition(".")
            is_norm = re.search(r"bn\d$|downsample\.1$|\.norm$", module) is not None
            word = (self.words or {}).get(word, word) if is_norm else word
            result[f"{self._module(module, tensors)}.{word}"] = tensor
        return result

    def _module(self, module: str, tensors: State) -> str:
        fixed = {
            "backbone.conv1": self.stem[0],
            "backbone.bn1": self.stem[1],
            **{f"fpn.lateral.{level}": name for level, name in enumerate(self.lateral)},
            **{f"fpn.output.{level}": name for level, name in enumerate(self.output)},
            **dict(zip(("fpn.p6", "fpn.p7"), self.extra, strict=True)),
            **dict(zip(("head.cls", "head.box", "head.ctr"), self.predictors, strict=True)),
        }
        if module in fixed:
            return fixed[module]
        if match := re.fullmatch(r"backbone\.layer(\d)\.(\d+)\.(conv|bn|downsample\.)(\d)", module):
            parts = {"conv": self.conv, "bn": self.norm, "downsample.": self.downsample.__getitem__}
            return f"{self.stage(int(match[1]))}.{match[2]}.{parts[match[3]](int(match[4]))}"
        match = re.fullmatch(r"head\.(cls|box)_tower\.(\d)\.(conv|norm)", module)
        assert match is not None
        tower, layer, is_norm = self.towers[match[1] == "box"], int(match[2]), match[3] == "norm"
        if self.modules is not None:
            return f"{tower.format(layer)}.{self.modules[is_norm]}"
        # torch.nn.Sequential counts ReLUs, too.
        step = 3 if f"head.{match[1]}_tower.0.norm.weight" in tensors else 2
        return tower.format(layer * step + is_norm)


def conv(number: int) -> str:
    return f"conv{number}"


def bn(number: int) -> str:
    return f"bn{number}"


MMDET_FCOS = Spelling(
    stem=("backbone.conv1", "backbone.bn1"),
    stage="backbone.layer{}".format,
    conv=conv,
    norm=bn,
    downsample=("downsample.0", "downsample.1"),
    lateral=("neck.lateral_convs.0.conv", "neck.lateral_convs.1.conv", "neck.lateral_convs.2.conv"),
    output=("neck.fpn_convs.0.conv", "neck.fpn_convs.1.conv", "neck.fpn_convs.2.conv"),
    extra=("neck.fpn_convs.3.conv", "neck.fpn_convs.4.conv"),
    towers=("bbox_head.cls_convs.{}", "bbox_head.reg_convs.{}"),
    modules=("conv", "gn"),
    predictors=("bbox_head.conv_cls", "bbox_head.conv_reg", "bbox_head.conv_centerness"),
    scale="bbox_head.scales.{}.scale",
    scale_shape=(),
)
MMDET_RETINANET = dataclasses.replace(MMDET_FCOS, predictors=("bbox_head.retina_cls", "bbox_head.retina_reg", "none"))
MMDET_ATSS = dataclasses.replace(
    MMDET_FCOS, predictors=("bbox_head.atss_cls", "bbox_head.atss_reg", "bbox_head.atss_centerness")
)
TIANZHI = Spelling(
    stem=("backbone.body.stem.conv1", "backbone.body.stem.bn1"),
    stage="backbone.body.layer{}".format,
    conv=conv,
    norm=bn,
    downsample=("downsample.0", "downsample.1"),
    lateral=("backbone.fpn.fpn_inner2", "backbone.fpn.fpn_inner3", "backbone.fpn.fpn_inner4"),
    output=("backbone.fpn.fpn_layer2", "backbone.fpn.fpn_layer3", "backbone.fpn.fpn_layer4"),
    extra=("backbone.fpn.top_blocks.p6", "backbone.fpn.top_blocks.p7"),
    towers=("rpn.head.cls_tower.{}", "rpn.head.bbox_tower.{}"),
    predictors=("rpn.head.cls_logits", "rpn.head.bbox_pred", "rpn.head.centerness"),
    scale="rpn.head.scales.{}.scale",
)
DETECTRON2 = Spelling(
    stem=("backbone.bottom_up.stem.conv1", "backbone.bottom_up.stem.conv1.norm"),
    stage=lambda stage: f"backbone.bottom_up.res{stage + 1}",
    conv=conv,
    norm="conv{}.norm".format,
    downsample=("shortcut", "shortcut.norm"),
    lateral=("backbone.fpn_lateral3", "backbone.fpn_lateral4", "backbone.fpn_lateral5"),
    output=("backbone.fpn_output3", "backbone.fpn_output4", "backbone.fpn_output5"),
    extra=("backbone.top_block.p6", "backbone.top_block.p7"),
    towers=("head.cls_subnet.{}", "head.bbox_subnet.{}"),
    predictors=("head.cls_score", "head.bbox_pred", "none"),
)
CVPODS = dataclasses.replace(
    DETECTRON2, predictors=("head.cls_score", "head.bbox_pred", "head.centerness"), scale="head.scales.{}.scale"
)
ADELAIDET_HEAD = "proposal_generator.fcos_head"
ADELAIDET = dataclasses.replace(
    DETECTRON2,
    towers=(f"{ADELAIDET_HEAD}.cls_tower.{{}}", f"{ADELAIDET_HEAD}.bbox_tower.{{}}"),
    predictors=(f"{ADELAIDET_HEAD}.cls_logits", f"{ADELAIDET_HEAD}.bbox_pred", f"{ADELAIDET_HEAD}.ctrness"),
    scale=f"{ADELAIDET_HEAD}.scales.{{}}.scale",
)
TORCHVISION_FCOS = Spelling(
    stem=("backbone.body.conv1", "backbone.body.bn1"),
    stage="backbone.body.layer{}".format,
    conv=conv,
    norm=bn,
    downsample=("downsample.0", "downsample.1"),
    lateral=("backbone.fpn.inner_blocks.0.0", "backbone.fpn.inner_blocks.1.0", "backbone.fpn.inner_blocks.2.0"),
    output=("backbone.fpn.layer_blocks.0.0", "backbone.fpn.layer_blocks.1.0", "backbone.fpn.layer_blocks.2.0"),
    extra=("backbone.fpn.extra_blocks.p6", "backbone.fpn.extra_blocks.p7"),
    towers=("head.classification_head.conv.{}", "head.regression_head.conv.{}"),
    predictors=(
        "head.classification_head.cls_logits",
        "head.regression_head.bbox_reg",
        "head.regression_head.bbox_ctrness",
    ),
)
TORCHVISION_RETINANET = dataclasses.replace(TORCHVISION_FCOS, modules=("0", "1"))
# As torchvision wrote RetinaNet before 0.14.
TORCHVISION_OLD = dataclasses.replace(
    TORCHVISION_FCOS,
    lateral=("backbone.fpn.inner_blocks.0", "backbone.fpn.inner_blocks.1", "backbone.fpn.inner_blocks.2"),
    output=("backbone.fpn.layer_blocks.0", "backbone.fpn.layer_blocks.1", "backbone.fpn.layer_blocks.2"),
)
MINDSPORE = Spelling(
    stem=("fcos_body.backbone.conv1", "fcos_body.backbone.bn1"),
    stage="fcos_body.backbone.layer{}".format,
    conv=conv,
    norm=bn,
    downsample=("down_sample_layer.0", "down_sample_layer.1"),
    lateral=("fcos_body.fpn.prj_3", "fcos_body.fpn.prj_4", "fcos_body.fpn.prj_5"),
    output=("fcos_body.fpn.conv_3", "fcos_body.fpn.conv_4", "fcos_body.fpn.conv_5"),
    extra=("fcos_body.fpn.conv_out6", "fcos_body.fpn.conv_out7"),
    towers=("fcos_body.head.cls_conv.{}", "fcos_body.head.reg_conv.{}"),
    predictors=("fcos_body.head.cls_logits", "fcos_body.head.reg_pred", "fcos_body.head.cnt_logits"),
    scale="fcos_body.head.scale_exp.{}.scale",
    words={"weight": "gamma", "bias": "beta", "running_mean": "moving_mean", "running_var": "moving_variance"},
)


@dataclass(frozen=True)
class Sample:
    """One detector in the spelling of a framework, and what its owner must say about it."""

    dialect: str
    spelling: Spelling
    config: Network
    given: Mapping[str, object]

    def ours(self, statistics: str = "real", **changes: object) -> State:
        """By our names, as the network needs them."""
        return tensors_of(dataclasses.replace(self.config, **changes), statistics=statistics)  # type: ignore[arg-type]

    def theirs(self, ours: State) -> State:
        """By the framework's names; torchvision's FCOS has no scales."""
        if self.dialect == "torchvision":
            ours = {name: tensor for name, tensor in ours.items() if name != "head.scale"}
        return self.spelling(ours)


FLAGS = {"norm_on_bbox": True, "centerness_on_reg": True}
SAMPLES = {
    "mmdet_fcos": Sample("mmdet", MMDET_FCOS, FCOS, {}),
    "mmdet_retinanet": Sample("mmdet", MMDET_RETINANET, RETINANET, {"anchor_rounding": "none"}),
    "mmdet_atss": Sample("mmdet", MMDET_ATSS, ATSS, {"delta_stds": "0.1,0.1,0.2,0.2"}),
    "tianzhi": Sample("tianzhi", TIANZHI, FCOS, FLAGS),
    "cvpods": Sample("cvpods", CVPODS, FCOS, FLAGS),
    "adelaidet": Sample("adelaidet", ADELAIDET, FCOS, {}),
    "detectron2": Sample("detectron2", DETECTRON2, RETINANET, {}),
    "torchvision_fcos": Sample("torchvision", TORCHVISION_FCOS, FCOS, {}),
    "torchvision_retinanet": Sample("torchvision", TORCHVISION_RETINANET, RETINANET, {"bn_eps": 1e-5}),
    "torchvision_old": Sample("torchvision", TORCHVISION_OLD, RETINANET, {"bn_eps": 0.0}),
    "mindspore": Sample("mindspore", MINDSPORE, FCOS, {}),
}


def examine_state(
    state: Mapping[str, object], given: Mapping[str, object] | None = None, *, meta: dict[str, object] | None = None
) -> Reading:
    """What a file with this state dict is."""
    file = CheckpointFile(Path(__file__), "torch-zip", unwrap(state, lambda _: False).tensors, meta or {})
    return examine(file, given or {})  # type: ignore[arg-type]


def read_state(
    state: Mapping[str, object], given: Mapping[str, object] | None = None, *, meta: dict[str, object] | None = None
) -> Weights:
    """The detector in a file with this state dict."""
    return examine_state(state, given, meta=meta).weights()
