"""Tiny FCOS weights under mmdetection's names, written out here independently of the code that reads them."""

import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from export.checkpoints import read_weights
from export.checkpoints.weighing.weights import Weights

BLOCKS = {18: (2, 2, 2, 2), 50: (3, 4, 6, 3)}


def bn(state: dict[str, torch.Tensor], name: str, channels: int, *, stats: bool = True) -> None:
    state[f"{name}.weight"] = torch.rand(channels) + 0.5
    state[f"{name}.bias"] = torch.randn(channels)
    if stats:
        state[f"{name}.running_mean"] = torch.randn(channels)
        state[f"{name}.running_var"] = torch.rand(channels) + 0.5
        state[f"{name}.num_batches_tracked"] = torch.tensor(7)


def fcos_state(  # noqa: C901  # one straight walk through a network
    *,
    depth: int = 18,
    base: int = 8,
    groups: int = 1,
    group_width: int = 2,
    fpn: int = 32,
    head: int = 32,
    convs: int = 1,
    norm: str | None = "gn",
    bias: bool = False,
    classes: int = 3,
    p6_on_input: bool = False,
    predictor: str = "conv",
    folded: bool = False,
) -> dict[str, torch.Tensor]:
    """The state dict of an mmdetection FCOS."""
    state: dict[str, torch.Tensor] = {}

    def conv(name: str, out: int, into: int, size: int, *, biased: bool = False) -> None:
        state[f"{name}.weight"] = torch.randn(out, into, size, size) * 0.1
        if biased:
            state[f"{name}.bias"] = torch.randn(out)

    conv("backbone.conv1", base, 3, 7)
    bn(state, "backbone.bn1", base)
    into, widths = base, []
    for stage, blocks in enumerate(BLOCKS[depth]):
        planes = base * 2**stage
        out = planes * (4 if depth >= 50 else 1)
        width = planes if groups == 1 else planes * group_width // base * groups
        sizes = [(width, into, 1), (width, width // groups, 3), (out, width, 1)]
        for index in range(blocks):
            block = f"backbone.layer{stage + 1}.{index}"
            sizes = [(width, into, 1), (width, width // groups, 3), (out, width, 1)]
            if depth < 50:
                sizes = [(planes, into, 3), (planes, planes, 3)]
            for number, size in enumerate(sizes, start=1):
                conv(f"{block}.conv{number}", *size)
                bn(state, f"{block}.bn{number}", size[0])
            if index == 0 and (stage > 0 or into != out):
                conv(f"{block}.downsample.0", out, into, 1)
                bn(state, f"{block}.downsample.1", out)
            into = out
        widths.append(out)
    for level in range(3):
        conv(f"neck.lateral_convs.{level}.conv", fpn, widths[level + 1], 1, biased=True)
    for level in range(5):
        conv(f"neck.fpn_convs.{level}.conv", fpn, widths[3] if level == 3 and p6_on_input else fpn, 3, biased=True)
    for branch in ("cls", "reg"):
        for index in range(convs):
            tower = f"bbox_head.{branch}_convs.{index}"
            conv(f"{tower}.conv", head, head if index else fpn, 3, biased=bias or norm is None)
            if norm:
                bn(state, f"{tower}.{norm}", head, stats=norm == "bn")
    for what, rows in (("cls", classes), ("reg", 4), ("centerness", 1)):
        conv(f"bbox_head.{predictor}_{what}", rows, head, 3, biased=True)
    for level in range(5):
        state[f"bbox_head.scales.{level}.scale"] = torch.tensor(1.0 + level)
    if folded:
        for name, tensor in state.items():
            if name.endswith(("running_mean", "running_var")):
                tensor.fill_(float(name.endswith("running_var")))
    return state


CONFIG = """
data_preprocessor = dict(bgr_to_rgb=False, mean=[102.9801, 115.9465, 122.7717], std=[1.0, 1.0, 1.0])
model = dict(
    type='FCOS',
    data_preprocessor=dict(bgr_to_rgb=False, mean=[102.9801, 115.9465, 122.7717], std=[1.0, 1.0, 1.0]),
    backbone=dict(type='ResNet', depth=18, base_channels=8, stem_channels=8, norm_cfg=dict(type='BN'), style='pytorch'),
    neck=dict(type='FPN', in_channels=[8, 16, 32, 64], start_level=1, out_channels=32, num_outs=5,
              add_extra_convs='on_output', relu_before_extra_convs=True),
    bbox_head=dict(type='FCOSHead', num_classes=3, in_channels=32, feat_channels=32, stacked_convs=1,
                   strides=[8, 16, 32, 64, 128], norm_cfg=dict(type='GN', num_groups=8)),
    test_cfg=dict(nms_pre=1000, score_thr=0.05, min_bbox_size=0,
                  nms=dict(type='nms', iou_threshold=0.6), max_per_img=100))
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='Resize', scale=(1333, 800), keep_ratio=True)]
test_dataloader = dict(dataset=dict(type='CocoDataset', pipeline=test_pipeline))
"""


@pytest.fixture
def make_state() -> Callable[..., dict[str, torch.Tensor]]:
    torch.manual_seed(0)
    return fcos_state


@pytest.fixture
def config_text() -> str:
    return textwrap.dedent(CONFIG)


@pytest.fixture
def save(tmp_path: Path) -> Callable[..., Path]:
    """Save an object with torch, in either container."""

    def write(value: object, *, legacy: bool = False, name: str = "weights.pth", **options: Any) -> Path:
        path = tmp_path / name
        torch.save(value, path, _use_new_zipfile_serialization=not legacy, **options)
        return path

    return write


@pytest.fixture
def weights(make_state: Callable[..., dict[str, torch.Tensor]], save: Callable[..., Path]) -> Callable[..., Weights]:
    """Read the weights of a tiny FCOS after saving it."""

    def read(
        *, meta: dict[str, Any] | None = None, given: dict[str, Any] | None = None, legacy: bool = False, **options: Any
    ) -> Weights:
        return read_weights(save({"meta": meta or {}, "state_dict": make_state(**options)}, legacy=legacy), given or {})

    return read
