"""The input tensor against slow statements of the published recipe and of mmdetection's."""

import hashlib
import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detector.geometry import Size
from detector.images.network_input import to_input
from detector.images.read_image import read_image
from detector.images.resample import resize
from detector.spec import DetectorSpec, replace
from detector.spec.image import ImageSpec
from detector.spec_files import load_spec
from preprocess.recipe import guide_spec

# Landscape, portrait, another aspect ratio, the flattest, a greyscale JPEG.
NAMES = ("000000208901", "000000403385", "000000006818", "000000058636")
SIDES = st.integers(1, 90)


def published_recipe(image: np.ndarray, canvas: Size, mean: tuple[float, ...], std: tuple[float, ...]) -> np.ndarray:
    """The preprocessing of the published guide step by step: floor, cv2 resize, subtract, multiply by 1/std, centre."""
    old_h, old_w = image.shape[:2]
    scale_ratio = min(canvas.width / old_w, canvas.height / old_h)
    new_w, new_h = max(1, int(np.floor(old_w * scale_ratio))), max(1, int(np.floor(old_h * scale_ratio)))
    image = cv2.resize(image, (new_w, new_h), interpolation=cv2.INTER_LINEAR).astype(np.float32)
    cv2.subtract(image, np.float64(np.array(mean, np.float32).reshape(1, -1)), image)
    cv2.multiply(image, 1 / np.float64(np.array(std).reshape(1, -1)), image)
    left, top = (canvas.width - new_w) // 2, (canvas.height - new_h) // 2
    right, bottom = canvas.width - new_w - left, canvas.height - new_h - top
    image = cv2.copyMakeBorder(image, top, bottom, left, right, cv2.BORDER_CONSTANT, value=0)
    return np.ascontiguousarray(image.transpose(2, 0, 1))


def mmdetection_recipe(image: np.ndarray, spec: DetectorSpec) -> np.ndarray:
    """mmdetection 3.x step by step: rescale_size, cv2 resize, (x - mean) / std in float32, zeros below and right."""
    height, width = image.shape[:2]
    scale = min(spec.image.long / max(height, width), spec.image.short / min(height, width))
    new_w, new_h = int(width * scale + 0.5), int(height * scale + 0.5)
    image = cv2.resize(image, (new_w, new_h), interpolation=cv2.INTER_LINEAR)
    if spec.image.channels == "RGB":
        image = image[..., ::-1]
    image = (image.astype(np.float32) - np.float32(spec.image.mean)) / np.float32(spec.image.std)
    canvas = np.zeros((*spec.canvas, 3), np.float32)
    canvas[:new_h, :new_w] = image
    return np.ascontiguousarray(canvas.transpose(2, 0, 1))


@pytest.mark.parametrize("name", NAMES)
def test_modelzoo_is_byte_identical_to_the_published_recipe(photographs: Path, name: str):
    spec = guide_spec(height=800, width=1333, recipe=None)
    image = read_image(photographs / "val2017" / f"{name}.jpg")
    tensor, _ = to_input(image, spec)
    expected = published_recipe(image, Size(800, 1333), (102.9801, 115.9465, 122.7717), (1.0, 1.0, 1.0))
    assert tensor.dtype == np.float32
    assert tensor.flags["C_CONTIGUOUS"]
    assert tensor.tobytes() == expected.tobytes()


@given(SIDES, SIDES, st.integers(32, 70), st.integers(32, 70))
def test_modelzoo_is_the_published_recipe_for_all_sizes(height: int, width: int, canvas_h: int, canvas_w: int):
    mean, std = (103.53, 116.28, 123.675), (57.375, 57.12, 58.395)
    image = np.random.default_rng(height * 100 + width).integers(0, 256, (height, width, 3), np.uint8)
    canvas = Size(canvas_h, canvas_w)
    facts = ImageSpec(resize="modelzoo", channels="BGR", mean=mean, std=std)
    tensor, _ = to_input(image, DetectorSpec(name="t", detector="fcos", canvas=canvas, image=facts, classes=("a",)))
    assert tensor.tobytes() == published_recipe(image, canvas, mean, std).tobytes()


@given(st.integers(10, 90), st.integers(10, 90), st.sampled_from(["BGR", "RGB"]))
def test_mmdet_is_mmdetections_recipe_for_all_sizes(height: int, width: int, channels: str):
    image = np.random.default_rng(height * 100 + width).integers(0, 256, (height, width, 3), np.uint8)
    facts = ImageSpec(short=48, long=80, channels=channels, mean=(123.675, 116.28, 103.53), std=(58.395, 57.12, 57.375))
    spec = DetectorSpec(name="t", detector="fcos", canvas=Size(96, 96), image=facts, classes=("a",))
    tensor, _ = to_input(image, spec)
    assert tensor.tobytes() == mmdetection_recipe(image, spec).tobytes()


RECORDED = json.loads(Path(__file__).with_name("mmdet_inputs.json").read_text())


@pytest.mark.parametrize("fact", RECORDED["inputs"], ids=lambda fact: f"{fact['image']}-{fact['channels']}")
def test_mmdet_is_byte_identical_to_genuine_mmdetection(photographs: Path, fact: dict):
    spec = load_spec("fcos_r50_caffe_fpn_1x")
    facts = {**spec.image.model_dump(), **{key: fact[key] for key in ("channels", "mean", "std")}}
    height, width = fact["img_shape"]
    canvas = (800, 1344) if width >= height else (1344, 800)
    spec = replace(spec, canvas=canvas, image=facts)
    tensor, box = to_input(read_image(photographs / "val2017" / fact["image"]), spec)
    assert box.resized == (height, width)
    assert hashlib.sha256(tensor[:, :height, :width].tobytes()).hexdigest() == fact["sha256"]
    assert not tensor[:, height:].any()
    assert not tensor[:, :, width:].any()


def test_the_letterbox_says_where_the_image_lies(spec: DetectorSpec):
    tensor, box = to_input(np.full((20, 20, 3), 255, np.uint8), spec)
    inside = tensor[:, box.top : box.top + box.resized.height, box.left : box.left + box.resized.width]
    assert inside.all()
    assert np.count_nonzero(tensor) == inside.size


def test_channels_follow_the_spec(spec: DetectorSpec):
    image = np.zeros((32, 48, 3), np.uint8)
    image[..., 2] = 200  # red, as cv2 reads it
    spec = replace(spec, image={**spec.image.model_dump(), "channels": "RGB", "mean": (0, 0, 0), "std": (1, 1, 1)})
    tensor, _ = to_input(image, spec)
    assert [float(channel.max()) for channel in tensor] == [200.0, 0.0, 0.0]


def dialect_spec(**image: object) -> DetectorSpec:
    facts = ImageSpec(**{"channels": "RGB", "mean": (123.675, 116.28, 103.53), "std": (58.395, 57.12, 57.375), **image})
    return DetectorSpec(name="t", detector="fcos", canvas=Size(96, 96), image=facts, classes=("a",))


# (H, W, 3) with every pixel value, at a size that the canvas takes as it is.
RAMP = np.arange(96 * 96 * 3, dtype=np.uint8).reshape(96, 96, 3)


def test_tianzhi_divides_by_255_and_multiplies_again():
    mean = (102.9801, 115.9465, 122.7717)
    facts = {"resize": "tianzhi", "filter": "pillow", "channels": "BGR", "mean": mean, "std": (1, 1, 1)}
    tensor, _ = to_input(RAMP, dialect_spec(**facts))
    unit = RAMP.transpose(2, 0, 1).astype(np.float32) / np.float32(255) * np.float32(255)
    assert tensor.tobytes() == (unit - np.float32(mean)[:, None, None]).tobytes()


@pytest.mark.parametrize("rule", ["torchvision", "mindspore"])
def test_constants_of_0_to_1_are_applied_to_pixels_of_0_to_1(rule: str):
    mean, std = np.float32([0.485, 0.456, 0.406]), np.float32([0.229, 0.224, 0.225])
    tensor, _ = to_input(RAMP, dialect_spec(resize=rule))
    unit = RAMP[..., ::-1].transpose(2, 0, 1).astype(np.float32) / np.float32(255)
    assert tensor.tobytes() == ((unit - mean[:, None, None]) / std[:, None, None]).tobytes()


@given(SIDES, SIDES)
def test_float_normalizes_before_it_resizes(height: int, width: int):
    functional = pytest.importorskip("torch.nn.functional", reason="torch is in the export extra")
    from torch import from_numpy

    image = np.random.default_rng(height * 100 + width).integers(0, 256, (height, width, 3), np.uint8)
    tensor, box = to_input(image, dialect_spec(resize="torchvision", filter="float", short=48, long=80))
    unit = image[..., ::-1].transpose(2, 0, 1).astype(np.float32) / np.float32(255)
    mean, std = np.float32([0.485, 0.456, 0.406]), np.float32([0.229, 0.224, 0.225])
    whole = from_numpy((unit - mean[:, None, None]) / std[:, None, None])[None]
    expected = functional.interpolate(whole, size=box.resized, mode="bilinear", align_corners=False)[0].numpy()
    content = tensor[:, : box.resized.height, : box.resized.width]
    np.testing.assert_allclose(content, expected, rtol=0, atol=1e-6)


def test_pillow_resizes_bytes():
    image = np.random.default_rng(0).integers(0, 256, (96, 200, 3), np.uint8)
    tensor, box = to_input(image, dialect_spec(resize="detectron2", filter="pillow", mean=(0, 0, 0), std=(1, 1, 1)))
    content = tensor[::-1, : box.resized.height, : box.resized.width].transpose(1, 2, 0)
    assert np.array_equal(content, resize(image, box.resized, "pillow"))


@pytest.mark.parametrize("rule", ["mindspore", "modelzoo"])
@pytest.mark.parametrize("resize_filter", ["cv2", "float"])
def test_black_padding_is_what_a_black_pixel_becomes(rule: str, resize_filter: str):
    image = np.full((96, 40, 3), 255, np.uint8)
    tensor, box = to_input(image, dialect_spec(resize=rule, filter=resize_filter, padding="black"))
    black, _ = to_input(np.zeros((96, 96, 3), np.uint8), dialect_spec(resize=rule))
    inside = np.zeros((96, 96), bool)
    inside[box.top : box.top + box.resized.height, box.left : box.left + box.resized.width] = True
    assert np.array_equal(tensor[:, ~inside], black[:, ~inside])
    assert (tensor[:, inside] > 0).all()
    assert (black < -1.5).all()


def bytes_spec(**image) -> DetectorSpec:
    return dialect_spec(resize="mmdet", dtype="uint8", **image)


PADDED = {"mean": (10.4, 20.6, 31.5), "std": (2, 3, 4), "channels": "RGB"}


@pytest.mark.parametrize(
    ("padding", "value", "expected", "pixel"),
    [
        ("value", (1.5, -2, 0), (1.5, -2, 0), [32, 15, 13]),
        # cv2 rounds halves to even and stops at 0 and 255.
        ("pixel", (300, 2.5, -3), ((255 - 10.4) / 2, (2 - 20.6) / 3, -31.5 / 4), [0, 2, 255]),
    ],
)
def test_padding_is_a_value_of_the_tensor_or_a_colour(padding: str, value: tuple, expected: tuple, pixel: list[int]):
    spec = guide_spec(height=32, width=64, recipe=None)
    spec = replace(spec, image={**PADDED, "resize": "mmdet", "padding": padding, "padding_value": value})
    tensor, box = to_input(np.zeros((32, 32, 3), np.uint8), spec)
    assert box.resized == Size(32, 32)
    np.testing.assert_allclose(tensor[:, :, 32:], np.array(expected)[:, None, None].repeat(32, 1).repeat(32, 2), 1e-6)
    assert (tensor[:, :, :32] == tensor[:, :1, :1]).all()
    of_bytes = replace(spec, image={**spec.image.model_dump(), "dtype": "uint8"})
    assert to_input(np.zeros((32, 32, 3), np.uint8), of_bytes)[0][0, 40].tolist() == pixel


def test_bytes_refuse_a_padding_that_no_pixel_becomes():
    image = {**PADDED, "padding": "value", "padding_value": (114, 114, 114)}
    with pytest.raises(ValueError, match=r"dtype 'uint8' cannot hold the padding \[114.0, 114.0, 114.0\] of the input"):
        ImageSpec.model_validate({**image, "dtype": "uint8"})
    assert ImageSpec.model_validate(image).padding_value == (114, 114, 114)


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"padding": "value"}, "padding 'value' needs padding_value: three numbers"),
        ({"padding_value": (1, 2, 3)}, "padding 'zero' has no padding_value"),
        ({"stretch": (0, 5)}, "height and width must be positive, got 0x5"),
        ({"stretch": (5, 5), "long": 7}, "stretch decides both sides, short and long bound them"),
    ],
)
def test_keys_that_do_not_fit_together_are_refused(keys: dict, message: str):
    with pytest.raises(ValueError, match=message):
        ImageSpec.model_validate({**PADDED, **keys})


@pytest.mark.parametrize("channels", ["BGR", "RGB"])
def test_bytes_are_the_decoded_pixels_whatever_the_order_of_the_model(channels: str):
    image = np.random.default_rng(0).integers(0, 256, (96, 96, 3), np.uint8)
    pixels, _ = to_input(image, bytes_spec(channels=channels))
    assert pixels.dtype == np.uint8
    assert pixels.flags.c_contiguous
    assert np.array_equal(pixels, image)


@pytest.mark.parametrize(("channels", "pixel"), [("BGR", [10, 21, 32]), ("RGB", [32, 21, 10])])
def test_bytes_are_padded_with_the_rounded_mean(channels: str, pixel: list[int]):
    spec = bytes_spec(channels=channels, mean=(10.4, 20.6, 31.6))
    pixels, box = to_input(np.zeros((10, 96, 3), np.uint8), spec)
    assert np.array_equal(np.unique(pixels[box.resized.height :].reshape(-1, 3), axis=0), [pixel])


def test_bytes_are_padded_with_black_where_the_floats_are():
    pixels, _ = to_input(np.zeros((10, 96, 3), np.uint8), bytes_spec(padding="black"))
    assert not pixels.any()


@pytest.mark.parametrize("resize_filter", ["cv2", "pillow"])
def test_normalized_bytes_are_the_floats(resize_filter: str):
    image = np.random.default_rng(0).integers(0, 256, (50, 77, 3), np.uint8)
    pixels, box = to_input(image, bytes_spec(filter=resize_filter))
    floats = dialect_spec(resize="mmdet", filter=resize_filter)
    tensor, same_box = to_input(image, floats)
    assert box == same_box
    mean, std = (np.array(triple).reshape(3, 1, 1) for triple in (floats.image.mean, floats.image.std))
    planes = np.moveaxis(pixels, -1, 0)
    planes = planes if floats.image.channels == "BGR" else planes[::-1]
    inside = (slice(None), slice(box.top, box.top + box.resized.height), slice(box.left, box.left + box.resized.width))
    np.testing.assert_allclose(((planes - mean) / std)[inside], tensor[inside], rtol=0, atol=1e-5)
