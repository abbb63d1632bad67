"""The search for random weights whose detections no rounding error changes."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import numpy as np
import random_weights
import torch
from torch import nn

THRESHOLD, TOPK = 0.05, 1000  # of every framework that uses this module: score, candidates per level
MAX_DETECTIONS = 100
LEVELS = 5
LEAST_SIDE = 2.0  # pixels; the overlap of thinner boxes says nothing about their edges
LEAST_DETECTIONS = 30


Outputs = tuple[list[torch.Tensor], ...]  # of a head: logits of all levels first


class Found(NamedTuple):
    """Labels (N,) from 0, boxes (N, 4) x1 y1 x2 y2 in canvas pixels, scores (N,), descending."""

    labels: torch.Tensor
    boxes: torch.Tensor
    scores: torch.Tensor


@dataclass(frozen=True)
class Detector:
    """A framework's network with its own inference.

    Attributes:
        model: the network.
        head: the part of it that returns the class logits of all levels first.
        detect: (1, 3, H, W), most detections -> what it found.
        state: of the tensors that inference uses: name -> kind, shape.
        kinds: of the weights.
        most: detections that are kept.
    """

    model: nn.Module
    head: nn.Module
    detect: Callable[[torch.Tensor, int], Found]
    state: Mapping[str, tuple[str, tuple[int, ...]]]
    kinds: Mapping[str, random_weights.Kind]
    most: int = MAX_DETECTIONS

    def load(self, seed: int) -> None:
        """Give the network the weights of a seed, all of them."""
        weights = random_weights.make(self.state, seed=seed, kinds=self.kinds)
        self.model.load_state_dict({name: torch.from_numpy(array) for name, array in weights.items()}, strict=True)

    @torch.no_grad()
    def candidates(self, tensor: torch.Tensor) -> list[int]:
        """(location, class) pairs above the threshold, per level."""
        counts: list[int] = []

        def count(_: nn.Module, __: object, outputs: Outputs) -> None:
            counts.extend(int((level.sigmoid() > THRESHOLD).sum()) for level in outputs[0])

        hook = self.head.register_forward_hook(count)
        self.detect(tensor, self.most)
        hook.remove()
        return counts

    def silent(self, tensor: torch.Tensor, result: Found) -> set[int]:
        """Levels without which the same would be found."""

        def hush(_: nn.Module, __: object, outputs: Outputs, level: int) -> Outputs:
            outputs[0][level].fill_(-50)
            return outputs

        levels = set()
        for level in range(LEVELS):
            hook = self.head.register_forward_hook(partial(hush, level=level))
            if same(result, self.detect(tensor, self.most)):
                levels.add(level)
            hook.remove()
        return levels


def state(tensors: Mapping[str, torch.Tensor], rules: Mapping[str, str]) -> dict[str, tuple[str, tuple[int, ...]]]:
    """Name -> kind, shape: the kind of the first rule whose pattern is found in the name."""
    return {
        name: (next(kind for pattern, kind in rules.items() if re.search(pattern, name)), tuple(tensor.shape))
        for name, tensor in tensors.items()
    }


def found(labels: torch.Tensor, boxes: torch.Tensor, scores: torch.Tensor) -> Found:
    """Sort by falling score."""
    order = scores.argsort(descending=True, stable=True)
    return Found(labels[order], boxes[order].float(), scores[order].float())


@torch.no_grad()
def search(detector: Detector, tensors: Sequence[torch.Tensor], first: int = 1) -> tuple[int, list[Found]]:
    """The first seed that is steady on all inputs (1, 3, H, W), and what it finds; its weights stay loaded."""
    for seed in range(first, 1000):
        detector.load(seed)
        results: list[Found] = []
        reason = None
        for tensor in tensors:
            results.append(detector.detect(tensor, detector.most))
            reason = reason or _objection(detector, tensor, results[-1])
        if reason is None:
            silent = set.intersection(*map(detector.silent, tensors, results))
            if not silent:
                return seed, results
            reason = f"nothing is found on levels {silent}"
        print(f"seed {seed}: {reason}", flush=True)
    message = "no seed is steady"
    raise RuntimeError(message)


def _objection(detector: Detector, tensor: torch.Tensor, result: Found) -> str | None:
    """Why a seed is refused."""
    if len(result.labels) < LEAST_DETECTIONS:
        return f"{len(result.labels)} detections"
    if max(detector.candidates(tensor)) <= TOPK:
        return "the limit of candidates per level is not reached"
    if (result.boxes[:, 2:] - result.boxes[:, :2]).min() < LEAST_SIDE:
        return "a thin box"
    more = detector.detect(tensor, detector.most + 1).scores
    if len(more) > detector.most and more[-2] - more[-1] < 2e-5:
        return "a close call at the last detection"
    for draw in range(3):
        noise = 1 + 3e-7 * torch.randn(tensor.shape, generator=torch.Generator().manual_seed(draw))
        if not same(result, detector.detect(tensor * noise, detector.most)):
            return "a close call"
    detector.model.double()
    precise = detector.detect(tensor.double(), detector.most)
    detector.model.float()
    return None if same(result, precise) else "a close call in double precision"


def same(first: Found, second: Found) -> bool:
    """Whether two lists hold the same detections one to one: label, box within 0.01 px, score within 2e-5."""
    if len(first.labels) != len(second.labels):
        return False
    boxes = (first.boxes[:, None] - second.boxes).abs().amax(dim=2) < 1e-2
    scores = (first.scores[:, None] - second.scores).abs() < 2e-5
    pairs = (boxes & scores & (first.labels[:, None] == second.labels)).numpy()
    return bool((np.sum(pairs, axis=0) == 1).all() and (np.sum(pairs, axis=1) == 1).all())
