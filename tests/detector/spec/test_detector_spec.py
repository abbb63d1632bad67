import math
import re
from pathlib import Path

import pytest

from detector.errors import SpecError
from detector.geometry import Size
from detector.spec import DetectorSpec, replace
from detector.spec.coco_classes import COCO_CATEGORIES, COCO_CLASSES
from detector.spec.results import Results
from detector.spec.wishes import Wishes
from detector.spec_files import load_spec
from tests.detector.spec.yaml_spec import YAML, write


def test_coco_stands_for_its_80_classes(tmp_path: Path):
    assert load_spec(write(tmp_path, YAML.replace("[a, b]", "coco"))).classes == COCO_CLASSES
    assert len(COCO_CLASSES) == 80


def test_coco_ids_are_the_official_ones():
    assert len(dict(COCO_CATEGORIES)) == 80
    ids = {name: category_id for category_id, name in COCO_CATEGORIES}
    assert (ids["person"], ids["stop sign"], ids["toothbrush"]) == (1, 13, 90)


def test_a_spec_survives_json(spec: DetectorSpec):
    assert DetectorSpec.model_validate_json(spec.model_dump_json()) == spec


def test_tensors_have_shapes_and_sizes(spec: DetectorSpec):
    labels, dets = spec.outputs
    assert (spec.input.shape, spec.input.num_bytes) == ((3, 64, 96), 3 * 64 * 96 * 4)
    assert (labels.shape, labels.dtype, labels.num_bytes) == ((10,), "int64", 80)
    assert (dets.shape, dets.dtype, dets.num_bytes) == ((10, 5), "float32", 200)
    assert str(dets) == "'dets' [10, 5] float32"


def test_a_copy_is_validated(spec: DetectorSpec):
    assert spec.with_canvas(Size(128, 96)).canvas == (128, 96)
    with pytest.raises(SpecError, match="tiny: canvas: height and width"):
        spec.with_canvas(Size(8, 96))
    with pytest.raises(SpecError, match="unknown key 'canvs'; did you mean 'canvas'"):
        replace(spec, canvs=Size(64, 96))
    with pytest.raises(SpecError, match=r"unknown key 'x{100}… of 3000 characters'$"):
        replace(spec, **{"x" * 3000: 1})


def test_only_what_decides_a_bin_decides_its_fingerprint(spec: DetectorSpec):
    same = replace(spec, name="other", classes=("x",), decode={"score_threshold": 0.5})
    assert same.bins_fingerprint() == spec.bins_fingerprint()
    assert spec.with_canvas(Size(96, 64)).bins_fingerprint() != spec.bins_fingerprint()


def with_image(spec: DetectorSpec, **changes: object) -> DetectorSpec:
    return replace(spec, image={**spec.image.model_dump(), **changes})


@pytest.mark.parametrize("change", [{"channels": "BGR"}, {"mean": (0, 0, 0)}, {"resize": "modelzoo"}, {"short": 50}])
def test_preprocessing_decides_the_fingerprint(spec: DetectorSpec, change: dict):
    assert with_image(spec, **change).bins_fingerprint() != spec.bins_fingerprint()


def test_the_sign_of_a_zero_does_not(spec: DetectorSpec):
    zero = with_image(spec, mean=(0.0, 1.0, 2.0))
    assert with_image(spec, mean=(-0.0, 1.0, 2.0)).bins_fingerprint() == zero.bins_fingerprint()


def test_bounds_that_modelzoo_does_not_know_do_not(spec: DetectorSpec):
    plain = with_image(spec, resize="modelzoo")
    assert with_image(plain, short=50, long=90).bins_fingerprint() == plain.bins_fingerprint()


def test_the_letterbox_follows_the_spec(spec: DetectorSpec):
    box = with_image(spec, short=30).letterbox(Size(60, 80))
    assert (box.canvas, box.resized) == ((64, 96), (30, 40))


def test_an_input_of_bytes_has_its_channels_last(spec: DetectorSpec):
    tensor = with_image(spec, dtype="uint8").input
    assert (tensor.shape, tensor.dtype, tensor.num_bytes) == ((64, 96, 3), "uint8", 64 * 96 * 3)


def test_bytes_do_not_depend_on_what_normalizes_them(spec: DetectorSpec):
    plain = with_image(spec, dtype="uint8")
    assert plain.bins_fingerprint() != spec.bins_fingerprint()
    assert with_image(plain, std=[1.0, 1.0, 1.0]).bins_fingerprint() == plain.bins_fingerprint()
    assert with_image(plain, mean=[120.1, 115.0, 100.0]).bins_fingerprint() == plain.bins_fingerprint()
    assert with_image(plain, mean=[121.0, 115.0, 100.0]).bins_fingerprint() != plain.bins_fingerprint()


@pytest.mark.parametrize(
    "change",
    [
        {"resize": "detectron2"},
        {"filter": "pillow"},
        {"short": 50},
        {"long": 90},
        {"stretch": [64, 96]},
        {"decoder": "pillow"},
        {"exif": "ignored"},
        {"padding": "black"},
    ],
)
def test_bytes_depend_on_what_places_decodes_and_turns_them(spec: DetectorSpec, change: dict[str, object]):
    plain = with_image(spec, dtype="uint8")
    assert with_image(plain, **change).bins_fingerprint() != plain.bins_fingerprint()


def test_without_gears_there_is_one_canvas(spec: DetectorSpec):
    assert spec.canvases == (Size(64, 96),)
    assert replace(spec, atc={"batch_sizes": [1, 4]}).canvases == (Size(64, 96),)


def test_an_image_lies_on_the_canvas_where_it_is_largest(spec: DetectorSpec):
    gears = [[64, 96], [96, 64], [64, 64]]
    for atc in ({"image_sizes": gears}, {"dims": [[2, *gear] for gear in gears]}):
        both = replace(spec, atc=atc)
        assert both.canvases == (Size(64, 96), Size(96, 64), Size(64, 64))
        assert both.letterbox(Size(20, 30)).canvas == Size(64, 96)
        assert both.letterbox(Size(30, 20)).canvas == Size(96, 64)
        # A square one is as large on all three: the smallest costs least.
        assert both.letterbox(Size(30, 30)).canvas == Size(64, 64)


def test_with_both_orientations_an_image_is_as_large_as_its_framework_makes_it(spec: DetectorSpec):
    image = {**spec.image.model_dump(), "short": 800, "long": 1333}
    one = replace(spec, canvas=[800, 1344], image=image)
    both = replace(one, atc={"image_sizes": [[800, 1344], [1344, 800]]})
    # 480 x 640 pixels upright: the published guide's single canvas leaves 800 x 600 of them.
    assert one.letterbox(Size(640, 480)).resized == Size(800, 600)
    assert both.letterbox(Size(640, 480)).resized == Size(1067, 800)


@pytest.mark.parametrize(
    ("image", "expected"),
    [((480, 640), 1.0), ((640, 480), 800 / 1067), ((100, 1000), 1.0), ((1000, 100), 800 / 1333)],
)
def test_squeeze_tells_how_much_the_canvas_takes_from_the_framework(spec: DetectorSpec, image, expected):
    wide = replace(spec, canvas=(800, 1344), image={**spec.image.model_dump(), "short": 800, "long": 1333})
    assert wide.squeeze(Size(*image)) == pytest.approx(expected, abs=1e-3)
    assert spec.squeeze(Size(*image)) == 1.0  # the canvas alone bounds


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1e300, 10**400])
def test_facts_about_a_network_are_finite(spec, value):
    with pytest.raises(SpecError, match=r"network: bn_eps must be a finite number of at most 1e\+15, got"):
        replace(spec, network={"bn_eps": value})


@pytest.mark.parametrize(
    ("name", "fingerprint"),
    [
        ("demo", "91273c6186374e55"),
        ("fcos_r50_caffe_fpn_1x", "f750db19e10f6907"),
        ("retinanet_r18_fpn_1x_guide", "26363dc32fb353c3"),
    ],
)
def test_bins_that_exist_stay_good(name: str, fingerprint: str):
    assert load_spec(name).bins_fingerprint() == fingerprint


@pytest.mark.parametrize("dtype", ["float32", "uint8"])
def test_ignored_orientations_make_other_bins(spec: DetectorSpec, dtype: str):
    applied, ignored = (with_image(spec, dtype=dtype, exif=exif) for exif in ("applied", "ignored"))
    assert applied.bins_fingerprint() == with_image(spec, dtype=dtype).bins_fingerprint()
    assert ignored.bins_fingerprint() != applied.bins_fingerprint()


@pytest.mark.parametrize(
    ("key", "value", "problem"),
    [
        ("mean", [1e300, 0, 0], "mean: expected grey levels (0..255), at most 1e+06"),
        ("mean", [math.nan, 0, 0], "mean.0: Input should be a finite number"),
        ("std", [1e-300, 1, 1], "std: expected grey levels, 1e-06..1e+06"),
        ("std", [1, 1, 1e300], "std: expected grey levels, 1e-06..1e+06"),
        ("short", 10**400, "short: "),
        ("long", 2**31, "long: Input should be less than or equal to 1048576"),
        ("stretch", [10**400, 1], "stretch: height and width must be at most 1048576"),
    ],
)
def test_numbers_that_no_image_has(spec: DetectorSpec, key: str, value: object, problem: str):
    with pytest.raises(SpecError, match=re.escape(f"image.{problem}")) as caught:
        with_image(spec, **{key: value})
    assert len(str(caught.value)) < 400


def test_canvases_beyond_memory_are_refused_in_both_places(spec: DetectorSpec, monkeypatch: pytest.MonkeyPatch):
    message = r"16384x16384 has 268,435,456 pixels, at most 33,554,432 are taken; set OMLINE_MAX_CANVAS_PIXELS if"
    with pytest.raises(SpecError, match=f"canvas: {message}"):
        spec.with_canvas(Size(16384, 16384))
    with pytest.raises(SpecError, match=f"atc: {message}"):
        replace(spec, atc={"image_sizes": [[64, 96], [16384, 16384]]})
    monkeypatch.setenv("OMLINE_MAX_CANVAS_PIXELS", str(2**28))
    assert spec.with_canvas(Size(16384, 16384)).canvas == (16384, 16384)


def test_documents_of_endless_values_are_refused(spec: DetectorSpec):
    laugh: list[object] = ["ha"]
    for _ in range(60):
        laugh = [laugh, laugh]
    for classes in (laugh, ["a"] * 100_001):
        with pytest.raises(SpecError, match=r"holds more than 100,000 values; set OMLINE_MAX_SPEC_VALUES if"):
            replace(spec, classes=classes)
    many = [f"class {index}" for index in range(30_000)]
    assert len(replace(spec, classes=many, category_ids=list(range(30_000))).classes) == 30_000


@pytest.mark.parametrize("key", ["candidates_per_level", "candidates_total"])
def test_candidates_are_as_many_as_an_operator_can_count(spec, key):
    with pytest.raises(SpecError, match=rf"decode\.{key}: Input should be less than or equal to 2147483647"):
        replace(spec, decode={key: 10**22})
    assert replace(spec, decode={key: 2**31 - 1}).decode


@pytest.mark.parametrize("change", [{"name": "\ud800"}, {"classes": ["\ud800"]}, {"network": {"\ud800": 1}}])
def test_half_a_surrogate_pair_is_no_text(spec: DetectorSpec, change: dict):
    with pytest.raises(SpecError, match=r"can't encode character '\\ud800' .*surrogates not allowed"):
        replace(spec, **change)


def test_written_files_list_what_was_wished_and_then_what_was_found(spec: DetectorSpec):
    assert list(spec.model_dump()) == [*Wishes.model_fields, *Results.model_fields]
    assert list(Results.model_fields) == ["network", "checkpoint", "departures", "precision"]
