from pathlib import Path

import numpy as np
import pytest

from convert.aipp.config import aipp_of, aipp_text
from convert.aipp.rules import aipp_problems
from detector.errors import SpecError
from detector.images.network_input import to_normalized, to_pixels
from detector.images.read_image import read_image
from detector.spec import replace
from detector.spec_files import load_spec
from tests.convert.aipp.arithmetic import apply, apply_stepwise

MODELS = sorted(path.stem for path in (Path(__file__).resolve().parents[3] / "atc_configs").glob("*.yaml"))


def in_bytes(spec, **image):
    return replace(spec, image={**spec.image.model_dump(), "dtype": "uint8", **image})


def with_atc(spec, **changes):
    return replace(spec, atc={**spec.atc.model_dump(), **changes})


@pytest.fixture
def demo():
    return in_bytes(load_spec("demo"))


def test_every_field_of_the_file_is_written_out(demo):
    assert aipp_text(aipp_of(demo)) == (
        "aipp_op {\n"
        "    aipp_mode: static\n"
        "    related_input_rank: 0\n"
        "    input_format: RGB888_U8\n"
        "    src_image_size_w: 320\n"
        "    src_image_size_h: 320\n"
        "    crop: false\n"
        "    padding: false\n"
        "    csc_switch: false\n"
        "    rbuv_swap_switch: true\n"
        "    ax_swap_switch: false\n"
        "    mean_chn_0: 123\n"
        "    mean_chn_1: 116\n"
        "    mean_chn_2: 103\n"
        "    min_chn_0: 0.6748046875\n"
        "    min_chn_1: 0.280029296875\n"
        "    min_chn_2: 0.52978515625\n"
        "    var_reci_chn_0: 0.017120361328125\n"
        "    var_reci_chn_1: 0.0175018310546875\n"
        "    var_reci_chn_2: 0.017425537109375\n"
        "}\n"
    )


@pytest.mark.parametrize(
    "name", ["demo", "fcos_r50_caffe_fpn_1x", "retinanet_r50_fpn_1x", "detectron2_retinanet_r50_fpn_3x"]
)
def test_a_rendered_file_keeps_the_rules(name):
    assert aipp_problems(aipp_text(aipp_of(in_bytes(load_spec(name))))) == []


def test_bins_are_bgr_so_that_only_an_rgb_model_needs_the_swap(demo):
    assert aipp_of(demo).swap
    assert not aipp_of(in_bytes(demo, channels="BGR")).swap


def test_image_gears_leave_the_size_open(demo):
    aipp = aipp_of(with_atc(demo, image_sizes=[[320, 320], [320, 640]]))
    assert (aipp.height, aipp.width) == (0, 0)
    assert aipp_problems(aipp_text(aipp), image_gears=True) == []


@pytest.mark.parametrize(
    ("image", "match"),
    [
        ({"dtype": "float32"}, "only uint8 bins go through AIPP"),
        ({"mean": [-1.0, 0.0, 0.0]}, "mean_chn is 0 to 255, image.mean has -1"),
        ({"mean": [256.0, 0.0, 0.0]}, "image.mean has 256"),
        ({"std": [1e-5, 1.0, 1.0]}, "var_reci_chn is a float16"),
        ({"std": [1e5, 1.0, 1.0]}, "1 / 100000"),
    ],
)
def test_a_normalization_that_aipp_cannot_do_is_refused(demo, image, match):
    with pytest.raises(SpecError, match=match):
        aipp_of(in_bytes(demo, **image))


@pytest.mark.parametrize(
    ("atc", "match"),
    [
        ({"dims": [[1, 320, 320], [4, 320, 320]]}, "atc.dims cannot be combined with AIPP"),
        ({"insert_op_conf": "mine.cfg"}, "renders an AIPP file of its own"),
    ],
)
def test_options_of_atc_that_exclude_aipp_are_refused(demo, atc, match):
    with pytest.raises(SpecError, match=match):
        aipp_of(with_atc(demo, **atc))


def test_an_image_beyond_aipps_size_is_refused(demo):
    with pytest.raises(SpecError, match="up to 4096x4096, the canvas is 320x4128"):
        aipp_of(replace(demo, canvas=[320, 4128]))


def test_bytes_cannot_hold_what_is_interpolated_after_normalization(demo):
    with pytest.raises(SpecError, match="cannot go with filter 'float'"):
        in_bytes(demo, filter="float")


def steps(one, other):
    """Distance in float16 values."""

    def order(values):
        bits = np.ascontiguousarray(values, np.float16).view(np.int16).astype(np.int32)
        return np.where(bits < 0, -(bits & 0x7FFF), bits)

    return np.abs(order(one) - order(other))


@pytest.mark.parametrize("name", ["demo", "retinanet_r50_fpn_1x"])
def test_on_photographs_aipp_is_one_step_of_float16_from_the_float_path(photographs, name):
    floats = load_spec(name)
    spec = in_bytes(floats)
    for file in sorted((photographs / "val2017").iterdir())[:2]:
        pixels, box = to_pixels(read_image(file), spec)
        tensor, _ = to_normalized(read_image(file), floats)
        rows, columns = slice(box.top, box.top + box.resized.height), slice(box.left, box.left + box.resized.width)
        for model, most in ((apply, 1), (apply_stepwise, 2)):
            values = model(aipp_of(spec), pixels[None])[0]
            assert steps(values[:, rows, columns], tensor[:, rows, columns]).max() <= most


LEVELS = np.arange(256, dtype=np.uint8)
# Next to a mean of 102.9801, 115.9465, 122.7717 with std 1: (channel, grey level) -> steps.
OFF = {(0, 103): 8, (1, 116): 7, (2, 123): 2}


@pytest.mark.parametrize("name", MODELS)
def test_every_grey_level_is_one_step_of_float16_from_the_float_path(name):
    floats = load_spec(name)
    mean, std = (np.array(triple, np.float32).reshape(3, 1) for triple in (floats.image.mean, floats.image.std))
    truth = (LEVELS - mean) / std
    pixels = np.broadcast_to(LEVELS[None, None, :, None], (1, 1, 256, 3))
    values = apply(aipp_of(in_bytes(floats)), pixels)[0, :, 0]
    apart = steps(values, truth)
    far = {(int(channel), int(level)): int(apart[channel, level]) for channel, level in np.argwhere(apart > 1)}
    assert far == (OFF if floats.image.mean == (102.9801, 115.9465, 122.7717) else {})
    assert all(abs(values[channel, level] - truth[channel, level]) <= 2**-12 for channel, level in far)


@pytest.mark.parametrize(("mean", "least"), [(102.9801, 5), (115.9465, 4)])
def test_no_legal_file_is_within_one_step_for_a_mean_just_below_a_grey_level(mean, least):
    """Every sum of a mean_chn and a min_chn near the mean, every var_reci_chn near 1; others miss level 0 or 255."""
    truth = LEVELS - np.float32(mean)
    halves = np.arange(0x5BF9, dtype=np.uint16).view(np.float16).astype(np.float64)  # all of 0..255
    sums = np.unique(np.concatenate([whole + halves[abs(whole + halves - mean) < 0.01] for whole in range(256)]))
    near_one = np.arange(0x3C00 - 16, 0x3C00 + 5, dtype=np.uint16).view(np.float16).astype(np.float64)
    best = min(int(steps((LEVELS - sums[:, None]) * factor, truth).max(1).min()) for factor in near_one)
    assert best == least


def test_padding_with_the_mean_is_off_by_its_rounding(demo):
    picture = np.zeros((10, 20, 3), np.uint8)
    pixels, box = to_pixels(picture, demo)
    values = apply(aipp_of(demo), pixels[None])[0]
    assert np.abs(values[:, box.resized.height :]).max() <= 0.5 / 57


def test_black_padding_is_exactly_a_black_pixel(demo):
    spec = in_bytes(demo, padding="black")
    picture = np.zeros((10, 20, 3), np.uint8)
    values = apply(aipp_of(spec), to_pixels(picture, spec)[0][None])[0]
    assert all(len(np.unique(channel)) == 1 for channel in values)
