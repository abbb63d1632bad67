"""What is said of a set of images."""

import logging

import pytest

from detector.geometry import Size
from detector.images.header import Header
from detector.spec import DetectorSpec, replace
from preprocess.remarks import Seen, log_remarks, remarks

PLAIN = Header("JPEG", Size(20, 30), deep=False, frames=1, turned=False)


def seen(count: int, **facts: bool) -> list[Seen]:
    return [Seen(f"{index}.jpg", PLAIN._replace(**facts), Size(20, 30)) for index in range(count)]


def test_usual_images_are_not_worth_a_word(spec: DetectorSpec):
    assert remarks(seen(3), spec) == []


@pytest.mark.parametrize(("exif", "told"), [("applied", "the pixels are turned"), ("ignored", "it is ignored")])
def test_orientations_are_counted_and_named(spec: DetectorSpec, exif: str, told: str):
    spec = replace(spec, image={**spec.image.model_dump(), "exif": exif})
    (line,) = remarks(seen(1) + seen(5, turned=True), spec)
    assert line.startswith("5 of 6 images have an EXIF orientation (0.jpg, 1.jpg, 2.jpg and 2 more): " + told)
    assert f"(image.exif: {exif})" in line


def test_frames_and_depth(spec: DetectorSpec):
    frames, depth = remarks([*seen(1, frames=4), *seen(2, deep=True)], spec)
    assert (
        frames
        == "1 of 3 images has several frames or pages (0.jpg): the first is taken, the others are not read: 3 frames"
    )
    assert depth.startswith("2 of 3 images have more than 8 bits per channel (0.jpg, 1.jpg): they are scaled to 8")


def test_depth_is_as_the_decoder_makes_it(spec: DetectorSpec):
    (depth,) = remarks(seen(1, deep=True), replace(spec, image={**spec.image.model_dump(), "decoder": "pillow"}))
    assert depth.endswith(
        "of one what is above 255 becomes 255, as the training framework does (image.decoder: pillow)"
    )


@pytest.mark.parametrize("exif", ["applied", "ignored"])
def test_a_tiff_is_turned_whatever_is_said_of_exif(spec: DetectorSpec, exif: str):
    asked = [image._replace(header=image.header._replace(format="TIFF")) for image in seen(2, turned=True)]
    told = "2 of 2 images have an orientation in a TIFF (0.jpg, 1.jpg): the pixels are turned as it says, as cv2 and"
    (line,) = remarks(asked, replace(spec, image={**spec.image.model_dump(), "exif": exif}))
    assert line.startswith(told)
    assert "Detectron2" not in line
    (line,) = remarks(asked, replace(spec, image={**spec.image.model_dump(), "resize": "detectron2"}))
    assert line.endswith("Detectron2's loader, which asks for the orientation before it is honoured, turns them again")


def test_images_that_a_canvas_makes_smaller(spec: DetectorSpec):
    image = {**spec.image.model_dump(), "resize": "mmdet", "short": 800, "long": 1333}
    bounded = replace(spec, canvas=[800, 1344], image=image)
    images = [seen(1)[0]._replace(size=size) for size in (Size(480, 640), Size(640, 480), Size(640, 480))]
    (line,) = remarks(images, bounded)
    assert line == (
        "2 of 3 images lie at 75% of the size at which the training framework runs them (mean): the canvas 800x1344 "
        "has no room for more, which costs AP; a gear for each orientation mends it: "
        "--set atc.image_sizes=[[800,1344],[1344,800]] at export"
    )


def test_names_are_shown_and_not_obeyed(spec: DetectorSpec, caplog: pytest.LogCaptureFixture):
    with caplog.at_level(logging.WARNING):
        log_remarks([seen(1, turned=True)[0]._replace(name="a\x1b[2J.jpg")], spec)
    assert "a\\x1b[2J.jpg" in caplog.text
