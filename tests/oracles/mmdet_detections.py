"""Photographs as mmdetection sees them and what it detects in them."""

from pathlib import Path
from typing import NamedTuple

import mmcv
import numpy as np
import torch
from mmdet.structures import DetDataSample
from mmdet_variants import CANVAS
from mmengine.structures import InstanceData
from torch import nn


class Photograph(NamedTuple):
    """A photograph on the canvas as mmdetection's own transforms and preprocessor make it."""

    image: tuple[int, int]
    resized: tuple[int, int]
    tensor: torch.Tensor


def load(path: Path, model: nn.Module) -> Photograph:
    """Read, resize, normalize and pad one photograph; tensor (1, 3, *CANVAS) float32."""
    image = mmcv.imread(path, channel_order="bgr")
    height, width = image.shape[:2]
    scale = min(CANVAS[0] / min(height, width), CANVAS[1] / max(height, width), CANVAS[0] / height, CANVAS[1] / width)
    resized = (int(height * scale + 0.5), int(width * scale + 0.5))
    small = mmcv.imresize(image, resized[::-1], interpolation="bilinear", backend="cv2")
    chw = torch.from_numpy(np.ascontiguousarray(small.transpose(2, 0, 1)))
    sample = DetDataSample(metainfo={"img_shape": resized, "ori_shape": (height, width)})
    tensor = model.data_preprocessor({"inputs": [chw], "data_samples": [sample]}, False)["inputs"]
    right, below = CANVAS[1] - tensor.shape[3], CANVAS[0] - tensor.shape[2]
    return Photograph((height, width), resized, nn.functional.pad(tensor, (0, right, 0, below)))


def detect(model: nn.Module, tensor: torch.Tensor) -> tuple[InstanceData, list[int]]:
    """mmdetection's detections of one canvas, in canvas pixels, and the number of candidates per level."""
    with torch.no_grad():
        outputs = model.bbox_head(model.extract_feat(tensor))
        scores = [level.double().sigmoid() for level in outputs[0]]
        meta = {"img_shape": CANVAS, "ori_shape": CANVAS, "scale_factor": (1.0, 1.0)}
        (found,) = model.bbox_head.predict_by_feat(*outputs, batch_img_metas=[meta], rescale=False)
    return found, [int((level > model.test_cfg.score_thr).sum()) for level in scores]


def same(first: InstanceData, second: InstanceData) -> bool:
    """Whether two lists hold the same detections one to one: label, box within 0.01 px, score within 2e-5."""
    if len(first) != len(second):
        return False
    boxes = (first.bboxes[:, None] - second.bboxes).abs().amax(dim=2) < 1e-2
    scores = (first.scores[:, None] - second.scores).abs() < 2e-5
    pairs = boxes & scores & (first.labels[:, None] == second.labels)
    return bool((pairs.sum(dim=0) == 1).all() and (pairs.sum(dim=1) == 1).all())


def close_calls(model: nn.Module, photographs: list[Photograph], recorded: list[InstanceData]) -> bool:
    """Whether double precision, or a change in the last bits of the input, gives other detections."""
    for photograph, found in zip(photographs, recorded, strict=True):
        noise = 1 + 3e-7 * torch.randn(photograph.tensor.shape, generator=torch.Generator().manual_seed(1))
        if not same(found, detect(model, photograph.tensor * noise)[0]):
            return True
    model.double()
    doubled = [detect(model, photograph.tensor.double())[0] for photograph in photographs]
    model.float()
    return not all(same(a, b) for a, b in zip(recorded, doubled, strict=True))
