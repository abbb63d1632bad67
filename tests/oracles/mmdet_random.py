"""Random weights that detect something, and that rounding errors do not overturn."""

import math
from typing import Any

import torch
from mmdet.models.backbones.resnet import BasicBlock, Bottleneck
from mmdet_variants import SCORE_THRESHOLD
from torch import nn


def randomize(model: nn.Module, photographs: torch.Tensor, *, candidates: int, seed: int) -> None:
    """Give a network weights that detect.

    Args:
        model: FCOS, changed in place.
        photographs: (I, 3, H, W) normalized; its statistics become those of the network.
        candidates: (location, class) pairs per photograph that shall pass the score threshold.
        seed: of the weights.
    """
    generator = torch.Generator().manual_seed(seed)
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            fan_in = module.weight[0].numel()
            module.weight.data.normal_(0, (2 / fan_in) ** 0.5, generator=generator)
            if module.bias is not None:
                module.bias.data.uniform_(-0.2, 0.2, generator=generator)
        if isinstance(module, nn.BatchNorm2d | nn.GroupNorm):
            module.weight.data.uniform_(0.5, 1.5, generator=generator)
            module.bias.data.uniform_(-0.3, 0.3, generator=generator)
    for block in model.backbone.modules():
        if isinstance(block, BasicBlock | Bottleneck):
            # A trained block refines its input; one that overrules it makes rounding errors grow from block to block.
            last = block.norm3 if isinstance(block, Bottleneck) else block.norm2
            last.weight.data.uniform_(0.1, 0.4, generator=generator)
    with torch.no_grad():
        set_statistics(model.backbone, photographs, generator)
        model.eval()
        set_predictors(model.bbox_head, model.extract_feat(photographs), candidates, generator)


def set_statistics(backbone: nn.Module, photographs: torch.Tensor, generator: torch.Generator) -> None:
    """Running statistics near those of the photographs, as if the network had been trained on others."""
    norms = [module for module in backbone.modules() if isinstance(module, nn.BatchNorm2d)]
    for norm in norms:
        norm.momentum = None  # the plain average over what it sees
        norm.reset_running_stats()
        norm.train()
    backbone(photographs)
    for norm in norms:
        norm.momentum = 0.1
        spread = norm.running_var.sqrt()
        norm.running_mean += torch.randn(spread.shape, generator=generator) * 0.1 * spread
        norm.running_var *= torch.rand(spread.shape, generator=generator) + 0.6


def set_predictors(head: nn.Module, features: Any, candidates: int, generator: torch.Generator) -> None:
    """Scale the three predictors so that scores differ and boxes have plausible sides."""
    deviations = {"conv_cls": 1.0, "conv_reg": 1.2 if head.norm_on_bbox else 0.5, "conv_centerness": 1.5}
    outputs: dict[str, list[torch.Tensor]] = {name: [] for name in deviations}
    hooks = [
        getattr(head, name).register_forward_hook(lambda _, __, out, kept=kept: kept.append(out.clone()))
        for name, kept in outputs.items()
    ]
    head(features)
    for hook in hooks:
        hook.remove()
    for name, deviation in deviations.items():
        conv = getattr(head, name)
        values = torch.cat([out.flatten(2) for out in outputs[name]], dim=2) - conv.bias[None, :, None]
        factor = deviation / values.std(dim=(0, 2))
        values *= factor[None, :, None]
        mean = values.mean(dim=(0, 2))
        conv.weight.data *= factor[:, None, None, None]
        conv.bias.data = torch.randn(mean.shape, generator=generator) * 0.2 - mean
        if name == "conv_cls":
            logits = values + conv.bias[None, :, None]
            cut = logits.flatten().sort(descending=True).values[candidates * len(logits)]
            # The logit of the score threshold goes to the pair that is to be the first one below it.
            conv.bias.data += math.log(SCORE_THRESHOLD / (1 - SCORE_THRESHOLD)) - cut
    # Sides as a trained detector has them: strides of the level, or the logarithm of pixels.
    head.conv_reg.bias.data += 2.0 if head.norm_on_bbox else 3.0
    for level, scale in enumerate(head.scales):
        growth = 0.15 if head.norm_on_bbox else 0.2
        scale.scale.data.fill_(1.0 + growth * level + 0.02 * torch.randn((), generator=generator).item())
