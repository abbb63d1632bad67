"""The file that holds what a framework detected: written by the recording scripts, read by the tests."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from random_weights import Kind

DATA = Path(__file__).resolve().parents[1] / "data"
FOLDER = DATA / "coco" / "val2017"
# Two landscapes, two portraits; the last of either is nearly square, the very last has no colour.
PHOTOGRAPHS = ("000000208901.jpg", "000000403385.jpg", "000000006818.jpg", "000000058636.jpg")
SAMPLE = 8  # every 8th row and column of the network's input is kept


@dataclass(frozen=True)
class Photograph:
    """What a framework did with one photograph.

    Attributes:
        name: file name in COCO val2017.
        image: its height and width.
        resized: height and width after the framework's resize.
        tensor: (3, H, W) float32, the network's input as the framework made it, padding included: H, W is the canvas.
        labels: (N,) label index, from 0, without background.
        boxes: (N, 4) x1 y1 x2 y2 in canvas pixels, clipped to the canvas.
        scores: (N,) in descending order.
    """

    name: str
    image: tuple[int, int]
    resized: tuple[int, int]
    tensor: np.ndarray
    labels: np.ndarray
    boxes: np.ndarray
    scores: np.ndarray


def write(
    name: str,
    photographs: Sequence[Photograph],
    state: Mapping[str, tuple[str, tuple[int, ...]]],
    *,
    seed: int,
    kinds: Mapping[str, Kind],
    source: Sequence[str],
) -> Path:
    """Write tests/data/<name>.npz.

    Args:
        name: of the record.
        photographs: the framework's results, at least two landscape and two portrait.
        state: every tensor of the framework's own state dict: its name there -> kind, shape (random_weights.make).
        seed: of the weights.
        kinds: of the weights.
        source: the framework's repository and commit or its version, and the versions of what it ran on.
    """
    rows = max(len(photograph.labels) for photograph in photographs)
    labels = np.full((len(photographs), rows), -1, np.int64)
    boxes = np.zeros((len(photographs), rows, 4), np.float32)
    scores = np.zeros((len(photographs), rows), np.float32)
    samples = {}
    for index, photograph in enumerate(photographs):
        count = len(photograph.labels)
        labels[index, :count] = photograph.labels
        boxes[index, :count] = photograph.boxes
        scores[index, :count] = photograph.scores
        samples[f"input{index}"] = photograph.tensor[:, ::SAMPLE, ::SAMPLE].astype(np.float32)
    path = DATA / f"{name}.npz"
    np.savez_compressed(
        path,
        names=np.array([photograph.name for photograph in photographs]),
        image=np.array([photograph.image for photograph in photographs]),
        resized=np.array([photograph.resized for photograph in photographs]),
        canvas=np.array([photograph.tensor.shape[1:] for photograph in photographs]),
        labels=labels,
        boxes=boxes,
        scores=scores,
        keys=np.array(list(state)),
        kind=np.array([kind for kind, _ in state.values()]),
        shape=np.array([",".join(map(str, shape)) for _, shape in state.values()]),
        seed=np.array(seed),
        kind_names=np.array(list(kinds)),
        kind_values=np.array([[*map(float, kind)] for kind in kinds.values()]),
        source=np.array(list(source)),
        **samples,
    )
    return path
