"""The inference recipe in the config text of an mmdetection checkpoint: test pipeline, normalization, thresholds."""

from collections.abc import Mapping
from typing import Any, Final

from export.checkpoints.dialects.mmdet.config_text import UNKNOWN
from export.checkpoints.dialects.mmdet.dataset import pipeline_of
from export.checkpoints.dialects.mmdet.decoding import decoding
from export.checkpoints.dialects.mmdet.keys import Keys, class_name, ignored, shown, truth, whole
from export.checkpoints.dialects.mmdet.picture import Picture
from export.checkpoints.dialects.mmdet.steps import run
from export.checkpoints.weighing.own_padding import OwnPadding
from export.checkpoints.weighing.recipe import THRESHOLDS, Recipe
from export.families.family import Family

# mmdetection 3.x: (location, class) pairs ranked by class score, boxes clipped before suppression. 1.x and 2.x before
# 2.18 rank locations by their best score, which mmdetection 3.x does for their files no more.
_DECODE: Final[dict[str, Any]] = {
    "score": "product",
    "threshold_on": "class",
    "candidates": "pairs",
    "rank_by": "class",
    "clip": "before_nms",
    "drop_empty": True,
    "nms": "iou",
}
_PUBLISHED: Final = OwnPadding("as in the configs that it publishes", (32,))
_IMAGE: Final[dict[str, Any]] = {"resize": "mmdet", "filter": "cv2", "padding": "zero"}
# `batch_augments` are for training.
_PREPROCESSOR: Final = Keys(
    read=("mean", "std", "bgr_to_rgb", "rgb_to_bgr", "pad_value", "pad_size_divisor"),
    moot=("pad_mask", "mask_pad_value", "pad_seg", "seg_pad_value", "boxtype2tensor", "non_blocking", "batch_augments"),
)


def read_recipe(config: Mapping[str, Any], family: Family, *, background: bool, legacy: bool) -> Recipe:
    """How mmdetection runs the model.

    Args:
        config: parsed text; {} if the file carries none.
        family: of detectors.
        background: the file is of mmdetection 1.x.
        legacy: its boxes are coded as by 1.x, where the last pixel bounds them.
    """
    decode: dict[str, Any] = {**_DECODE, **({"last_pixel": True} if legacy else {})}
    model = config.get("model")
    if not isinstance(model, dict):
        computed = ("its config computes the model, of which nothing is read",) if model is UNKNOWN else ()
        return Recipe(_IMAGE, decode, "mmdetection's code", notes=computed, own_padding=_PUBLISHED, defaults=THRESHOLDS)
    # 3.x gives the model the preprocessor of the config unless it has its own.
    processor = model.get("data_preprocessor", config.get("data_preprocessor"))
    if isinstance(processor, dict) and class_name(processor.get("type", "")) == "MultiBranchDataPreprocessor":
        processor = processor.get("data_preprocessor")  # semi-supervised training: test images go to the one inside
    pipeline = pipeline_of(config)
    picture = Picture(3 if processor is not None or "test_dataloader" in config else 2, notes=[*pipeline.notes])
    run(pipeline.steps, picture)
    if not pipeline.steps:
        _follow_old_settings(config, picture)
    if processor is not None:
        _preprocess(processor, picture)
    elif not picture.normalizes and (picture.unknown or not pipeline.steps):
        picture.mean = None  # a step that is not known here may be what normalizes
    limits = decoding(config, model, picture.notes)
    decode |= limits | ({"clip_to_image": False} if picture.padded_size else {})
    image = _image(picture)
    asides = {
        # Zeros look like the mean, other values like objects.
        "mmdetection drops what it finds in the padding before suppression, here it goes after it": (
            (image.get("padding", "zero") != "zero" or image.get("mean") == (0, 0, 0)) and not picture.padded_size
        ),
        f"{family.title} of mmdetection 1.x is run as mmdetection 3.x runs its files": background,
        "tta_pipeline, which mmdetection runs with --tta only, is not run": isinstance(
            config.get("tta_pipeline"), list | tuple
        ),
    }
    notes = (*picture.notes, *(note for note, holds in asides.items() if holds))
    return Recipe(
        {**_IMAGE, **image},
        decode,
        "the file's config",
        notes=notes,
        canvas=picture.room(),
        own_padding=picture.own_padding(),
        unsized=picture.unsized(),
        unnormalized=picture.unnormalized(),
        defaults=() if limits else THRESHOLDS,
    )


def _follow_old_settings(config: Mapping[str, Any], picture: Picture) -> None:
    """A config of 0.x, whose data sets have no pipeline but settings, or a part of one."""
    data = config.get("data")
    test = data.get("test") if isinstance(data, dict) else None
    settings = test if isinstance(test, dict) else {}
    norm = next((each for each in (settings.get("img_norm_cfg"), config.get("img_norm_cfg")) if each is not None), None)
    steps: list[Any] = []
    if settings.get("img_scale") is not None:
        keep = settings.get("resize_keep_ratio", True)
        steps.append({"type": "Resize", "img_scale": settings["img_scale"], "keep_ratio": keep})
    if norm is not None:
        steps.append({"type": "Normalize", **norm} if isinstance(norm, dict) else UNKNOWN)
    run(steps, picture)


def _preprocess(processor: Any, picture: Picture) -> None:
    """`DetDataPreprocessor`: swap, normalize, pad; without a mean it does not normalize."""
    settings = processor if isinstance(processor, dict) else {}
    kind = class_name(settings.get("type", "DetDataPreprocessor"))
    if kind not in ("DetDataPreprocessor", "ImgDataPreprocessor") or settings is not processor:
        picture.notes.append(f"the data preprocessor is {shown(kind if settings else processor)}, here the usual one")
    picture.notes += ignored(settings, _PREPROCESSOR, "data_preprocessor")
    swaps = [truth(settings.get(flag, False)) for flag in ("bgr_to_rgb", "rgb_to_bgr")]
    if any(swaps):
        picture.swap()
    if settings.get("mean") is not None or settings.get("std") is not None:
        picture.normalize(settings.get("mean"), UNKNOWN if UNKNOWN in swaps else settings.get("std"))
    picture.normalizes = True  # whatever it pads with is not normalized after it
    picture.divide(settings.get("pad_size_divisor"), "data_preprocessor.pad_size_divisor")
    value = settings.get("pad_value", 0)
    if picture.padding is None:
        picture.pad((value,) * 3 if type(value) in (int, float) else value)
    elif not _is_full(picture, settings.get("pad_size_divisor", 1)):
        picture.notes.append(
            f"data_preprocessor: pad_value={shown(value)} beyond what Pad has filled is not honoured, Pad's fills all"
        )


def _is_full(picture: Picture, divisor: Any) -> bool:
    """Whether an image that a step has padded needs no more of it."""
    divisor = whole(divisor)
    sides = [whole(side) for side in picture.filled]
    return divisor is not None and divisor > 0 and all(side is not None and side % divisor == 0 for side in sides)


def _image(picture: Picture) -> dict[str, Any]:
    """Settings of `ImageSpec`; what could not be read is left out."""
    image = dict(picture.image) | ({} if picture.turned else {"exif": "ignored"})
    if picture.mean is not None and picture.std is not None:
        image |= {"channels": "RGB" if picture.swaps % 2 else "BGR", "mean": picture.mean, "std": picture.std}
    if picture.padding is not None:
        values, normalized, swaps = picture.padding
        if any(values):
            turned = values if (picture.swaps - swaps) % 2 == 0 else values[::-1]
            image |= {"padding": "value" if normalized else "pixel", "padding_value": turned}
        elif not normalized:
            image["padding"] = "black"
    return image
