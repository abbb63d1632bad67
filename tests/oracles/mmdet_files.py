"""Write a checkpoint as mmdetection of its time did, and the record of its detections beside it."""

import hashlib
import tempfile
from collections import OrderedDict
from pathlib import Path

import cv2
import mmcv
import mmdet
import mmengine
import numpy as np
import torch
from mmdet.registry import DATASETS, MODELS
from mmdet_detections import Photograph, close_calls, detect, load
from mmdet_random import randomize
from mmdet_variants import CANVAS, LEGACY_CONFIG, ROWS, SCORE_THRESHOLD, VARIANTS, Variant, run_config
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmengine.runner import Runner, load_checkpoint
from mmengine.structures import InstanceData
from numpy.typing import NDArray
from records import DATA, FOLDER, PHOTOGRAPHS

FEWEST = 30  # detections in any photograph
SEEDS = 40  # tried
KEPT = -1  # stands for the checkpoint that is there, taken if nothing in it is a close call


def coco_classes(number: int) -> tuple[str, ...]:
    """The first classes of COCO in label order, by mmdetection's own list."""
    return tuple(DATASETS.get("CocoDataset").METAINFO["classes"][:number])


def write_legacy(runner: Runner, path: Path) -> None:
    """Save as mmdetection 1.x did: predictors under their old names, config as text, torch's container before zip."""
    names = {"conv_cls": "fcos_cls", "conv_reg": "fcos_reg", "conv_centerness": "fcos_centerness"}
    weights: OrderedDict[str, torch.Tensor] = OrderedDict()
    for key, value in runner.model.state_dict().items():
        parts = key.split(".")
        weights[".".join(names.get(part, part) for part in parts)] = value
    meta = {
        "mmdet_version": "1.0.0",
        "config": LEGACY_CONFIG,
        "CLASSES": coco_classes(80),
        "epoch": 12,
        "iter": 87960,
        "mmcv_version": "0.2.16",
        "time": "Sun Dec 15 12:00:00 2019",
    }
    torch.save({"meta": meta, "state_dict": weights}, path, _use_new_zipfile_serialization=False)


def write_mmengine(runner: Runner, path: Path) -> None:
    """Save as mmengine does."""
    runner.save_checkpoint(str(path.parent), path.name, save_optimizer=False, save_param_scheduler=False)


def record(name: str) -> str:
    """Make one checkpoint and its record; returns a line about them."""
    variant = VARIANTS[name]
    checkpoint = DATA / f"mmdet_{name}.pth"
    init_default_scope("mmdet")
    with tempfile.TemporaryDirectory() as folder:
        runner = untrained(variant, folder)
        photographs = [load(FOLDER / photograph, runner.model) for photograph in PHOTOGRAPHS]
        batch = torch.cat([photograph.tensor for photograph in photographs])
        for seed in (KEPT, *range(SEEDS)) if checkpoint.exists() else range(SEEDS):
            if seed != KEPT:
                randomize(runner.model, batch, candidates=variant.candidates, seed=seed)
                (write_legacy if name == "legacy" else write_mmengine)(runner, checkpoint)
            # What is recorded is what the framework reads back from the file.
            model = MODELS.build(runner.cfg.model)
            load_checkpoint(model, str(checkpoint), map_location="cpu", strict=True)
            model.eval()
            results = [detect(model, photograph.tensor) for photograph in photographs]
            found = [instances for instances, _ in results]
            if min(map(len, found)) >= FEWEST and not close_calls(model, photographs, found):
                candidates = np.array([counts for _, counts in results])
                write_record(name, photographs, found, candidates)
                return f"{name}: seed {seed}, candidates {candidates.tolist()}, detections {[*map(len, found)]}"
    raise RuntimeError(f"{name}: {SEEDS} seeds tried, none without a close call")


def untrained(variant: Variant, folder: str) -> Runner:
    """The framework's runner of a variant."""
    settings = Config(run_config(variant, coco_classes(variant.classes)))
    settings.work_dir = folder
    settings.log_level = "ERROR"
    settings.experiment_name = "random"
    runner = Runner.from_cfg(settings)
    # mmengine writes the text of the configuration into the checkpoint; a temporary folder's name has no place there.
    for key in ("work_dir", "experiment_name"):
        runner.cfg.pop(key)
    return runner


def write_record(
    name: str, photographs: list[Photograph], found: list[InstanceData], candidates: NDArray[np.int64]
) -> None:
    """Write the arrays that record_mmdet.py lists."""
    variant = VARIANTS[name]
    labels = np.full((len(found), ROWS), -1, np.int64)
    boxes = np.zeros((len(found), ROWS, 4), np.float32)
    scores = np.zeros((len(found), ROWS), np.float32)
    for row, instances in enumerate(found):
        labels[row, : len(instances)] = instances.labels
        boxes[row, : len(instances)] = instances.bboxes
        scores[row, : len(instances)] = instances.scores
    versions = [f"{module.__name__} {module.__version__}" for module in (mmdet, mmcv, mmengine, torch, np, cv2)]
    np.savez_compressed(
        DATA / f"mmdet_{name}.npz",
        names=np.array(PHOTOGRAPHS),
        image=np.array([photograph.image for photograph in photographs]),
        resized=np.array([photograph.resized for photograph in photographs]),
        canvas=np.array(CANVAS),
        channels=np.array("RGB" if variant.rgb else "BGR"),
        mean=np.array(variant.mean, np.float32),
        std=np.array(variant.std, np.float32),
        labels=labels,
        boxes=boxes,
        scores=scores,
        candidates=candidates,
        score_threshold=np.array(SCORE_THRESHOLD),
        iou_threshold=np.array(variant.iou_threshold),
        sha256=np.array(hashlib.sha256((DATA / f"mmdet_{name}.pth").read_bytes()).hexdigest()),
        versions=np.array(versions),
    )
