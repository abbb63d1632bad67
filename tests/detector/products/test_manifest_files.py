"""Manifests of bins, of one canvas and of several."""

import hashlib
import json
import math
import os
import re
from pathlib import Path

import pytest

from detector.errors import ArtifactError
from detector.geometry import Letterbox, Size
from detector.products.bins_manifest import BinImage, BinsManifest, folder_of
from detector.products.manifest_files import (
    canvas_folders,
    read_manifest,
    read_manifests,
    write_manifest,
    write_manifests,
)
from detector.spec import DetectorSpec, replace


def manifest(spec: DetectorSpec, stem: str = "a") -> BinsManifest:
    image = BinImage(stem=stem, file_name=f"{stem}.jpg", image=Size(10, 20), resized=Size(31, 62), top=1, left=2)
    return BinsManifest(spec=spec, image_source="/data", images=(image,))


def of_canvases(spec: DetectorSpec) -> dict[str, BinsManifest]:
    both = replace(spec, atc={"image_sizes": [[64, 96], [96, 64]]})
    return {str(canvas): manifest(both.with_canvas(canvas), stem=f"on{canvas}") for canvas in both.canvases}


def write_all(folder: Path, manifests: dict[str, BinsManifest]) -> None:
    for name in manifests:
        (folder / name).mkdir(exist_ok=True)
    write_manifests(folder, manifests)


def test_a_manifest_comes_back(tmp_path: Path, spec: DetectorSpec):
    path = write_manifest(tmp_path, manifest(spec))
    assert read_manifest(tmp_path) == read_manifest(path) == manifest(spec)


def test_an_image_knows_its_letterbox(spec: DetectorSpec):
    (image,) = manifest(spec).images
    assert image.letterbox(Size(64, 96)) == Letterbox(Size(10, 20), Size(64, 96), Size(31, 62), 1, 2)


@pytest.mark.parametrize("rule", ["modelzoo", "mindspore"])
def test_a_letterbox_survives_the_manifest(rule: str):
    box = Letterbox.fit(Size(9, 17), Size(64, 96), rule=rule)
    image = BinImage.of(box, stem="a", file_name="a.jpg")
    assert BinImage.model_validate_json(image.model_dump_json()).letterbox(box.canvas) == box


def test_a_manifest_knows_its_file(tmp_path: Path, spec: DetectorSpec):
    path = write_manifest(tmp_path, manifest(spec))
    read = read_manifest(path)
    assert read.file_sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert read.model_copy(update={"image_source": "elsewhere"}).file_sha256 == read.file_sha256
    assert manifest(spec).file_sha256 is None
    assert "sha256" not in read.model_dump()


def test_a_manifest_may_start_with_a_byte_order_mark_and_says_nothing_twice(tmp_path: Path, spec: DetectorSpec):
    path = write_manifest(tmp_path, manifest(spec))
    path.write_text(f"\ufeff{path.read_text()}")
    assert read_manifest(path) == manifest(spec)
    path.write_text(path.read_text().replace('"stem": "a"', '"stem": "b", "stem": "a"'))
    with pytest.raises(ArtifactError, match=r"not a manifest of bins: .*the key 'stem' is given twice"):
        read_manifest(path)


def test_a_manifest_that_was_changed_since_is_refused(tmp_path: Path, spec: DetectorSpec):
    path = write_manifest(tmp_path, manifest(spec))
    written = path.read_text()
    assert read_manifest(path).is_bound
    changed = r"manifest\.json is not as preprocess wrote it .*: changed since; remove it and run"
    for text in (
        written.replace("a.jpg", "z.jpg"),
        written.replace(": ", ":"),
        json.dumps(json.loads(written)),
        re.sub('"manifest_sha256": "[0-9a-f]{8}', '"manifest_sha256": "00000000', written),
    ):
        assert text != written
        path.write_text(text)
        with pytest.raises(ArtifactError, match=changed):
            read_manifest(path)


def test_a_manifest_of_an_earlier_version_has_no_digest(tmp_path: Path, spec: DetectorSpec):
    path = write_manifest(tmp_path, manifest(spec))
    facts = json.loads(path.read_text())
    del facts["manifest_sha256"]
    path.write_text(json.dumps(facts))
    assert read_manifest(path) == manifest(spec)
    assert not read_manifest(path).is_bound


def test_an_unfinished_folder(tmp_path: Path):
    with pytest.raises(ArtifactError, match=r"manifest\.json not found: preprocessing did not run or did not finish"):
        read_manifest(tmp_path)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("{", "not JSON, perhaps truncated: EOF"),
        ("{}", "key 'spec' is missing"),
        ('{"format": "omline-bins-9"}', "format: Input should be 'omline-bins-1'"),
    ],
)
def test_a_damaged_manifest(tmp_path: Path, text: str, problem: str):
    (tmp_path / "manifest.json").write_text(text)
    with pytest.raises(
        ArtifactError,
        match=rf"is not a manifest of bins: .*{problem}.*; remove it and run `python -m preprocess` again",
    ):
        read_manifest(tmp_path)


HUGE = 10**400


@pytest.mark.parametrize(
    ("key", "value", "problem"),
    [
        ("stem", "../../x", "'../../x' is no stem of a bin"),
        ("stem", "/etc/x", "'/etc/x' is no stem of a bin"),
        ("stem", "", "'' is no stem of a bin"),
        ("file_name", "../x.jpg", "leads out of its folder"),
        ("file_name", "/etc/passwd", "is an absolute path"),
        ("file_name", "a/\x1b[2J.jpg", "control characters"),
        ("image", [0, 20], "height and width must be in 1..1048576, got 0x20"),
        ("image", [HUGE, 20], "height and width must be in"),
        ("image", [10, 2**31], "height and width must be in"),
        ("resized", [-1, 62], "height and width must be in 1..1048576, got -1x62"),
        ("resized", [31, 97], "image 'a.jpg': the resized image does not fit its canvas"),
        ("top", 34, "image 'a.jpg': the resized image does not fit its canvas"),
        ("top", -1, "top: Input should be greater than or equal to 0"),
        ("left", 2**32, "left: Input should be less than or equal to 1048576"),
        ("left", HUGE, "left: "),
        ("ratio", -2147483648, "image 'a.jpg': the ratio must be positive"),
        ("ratio", 0, "the ratio must be positive"),
        ("ratio", math.nan, "ratio: Input should be a finite number"),
        ("ratio", math.inf, "ratio: Input should be a finite number"),
        ("ratio", HUGE, "ratio: "),
        ("sha256", "0" * 63, "sha256: "),
    ],
)
def test_an_edited_image_is_one_line(tmp_path: Path, spec: DetectorSpec, key: str, value: object, problem: str):
    document = json.loads(manifest(spec).model_dump_json())
    document["images"][0][key] = value
    (tmp_path / "manifest.json").write_text(json.dumps(document))
    with pytest.raises(ArtifactError, match=rf"is not a manifest of bins: images.*{re.escape(problem)}") as caught:
        read_manifest(tmp_path)
    assert len(str(caught.value)) < 700


def test_images_in_folders_are_named_relative(spec: DetectorSpec):
    (image,) = manifest(spec).images
    nested = BinImage.model_validate({**image.model_dump(), "file_name": "a/b 1/图.jpg"})
    assert nested.file_name == "a/b 1/图.jpg"


def test_an_image_that_lies_elsewhere_than_its_spec_says(spec: DetectorSpec):
    image = BinImage.of(spec.letterbox(Size(10, 20)), stem="a", file_name="a.jpg")
    placed = BinsManifest(spec=spec, image_source="/data", images=(image,))
    placed.require_placed(Path("manifest.json"))
    moved = placed.model_copy(update={"images": (image.model_copy(update={"top": 1}),)})
    with pytest.raises(ArtifactError) as caught:
        moved.require_placed(Path("manifest.json"))
    place = (
        "pixels (height x width of the resized image), {} from the top and 0 from the left of the canvas 64x96, of an"
    )
    assert str(caught.value).startswith(
        f"manifest.json is not as its spec places 'a.jpg': got 48x96 {place.format(1)} image of 10x20; "
        f"expected 48x96 {place.format(0)} image of 10x20; "
    )


def test_a_list_of_no_images_ends_at_its_first(tmp_path: Path, spec: DetectorSpec):
    document = json.loads(manifest(spec).model_dump_json())
    document["images"] = [1, 2, 3]
    (tmp_path / "manifest.json").write_text(json.dumps(document))
    with pytest.raises(ArtifactError, match=r"images\.0: [^()]*; remove it and run"):
        read_manifest(tmp_path)


def test_a_manifest_is_a_regular_file_of_bounded_size(
    tmp_path: Path, spec: DetectorSpec, monkeypatch: pytest.MonkeyPatch
):
    path = write_manifest(tmp_path, manifest(spec))
    monkeypatch.setenv("OMLINE_MAX_MANIFEST_BYTES", "100")
    with pytest.raises(OSError, match=r"bytes, at most 100 are taken; set OMLINE_MAX_MANIFEST_BYTES if more is meant"):
        read_manifest(path)
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(ArtifactError, match="a FIFO, expected a regular file; remove it and run"):
        read_manifest(path)


def test_a_folder_of_another_canvas(tmp_path: Path, spec: DetectorSpec):
    written = of_canvases(spec)
    write_all(tmp_path, written)
    write_manifest(tmp_path / "96x64", written["64x96"])
    with pytest.raises(ArtifactError, match=r"96x64 holds bins for the canvas 64x96: was it renamed\?"):
        read_manifests(tmp_path)


def test_one_canvas_lies_in_the_folder_itself(tmp_path: Path, spec: DetectorSpec):
    write_all(tmp_path, {"": manifest(spec)})
    assert read_manifests(tmp_path) == {"": read_manifest(tmp_path)} == {"": manifest(spec)}
    assert canvas_folders(tmp_path) == ()
    assert folder_of(spec.canvas, spec) == ""


def test_several_canvases_have_a_folder_each(tmp_path: Path, spec: DetectorSpec):
    written = of_canvases(spec)
    write_all(tmp_path, written)
    assert list(written) == ["64x96", "96x64"]
    assert read_manifests(tmp_path) == read_manifests(tmp_path / "manifest.json") == written
    assert canvas_folders(tmp_path) == ("64x96", "96x64")
    assert read_manifest(tmp_path / "96x64") == written["96x64"]
    assert [folder_of(each.spec.canvas, each.spec) for each in written.values()] == list(written)


def test_several_canvases_where_one_is_needed(tmp_path: Path, spec: DetectorSpec):
    write_all(tmp_path, of_canvases(spec))
    with pytest.raises(ArtifactError, match=r"is of several canvases, one is needed here: give .*64x96, .*96x64"):
        read_manifest(tmp_path)


def test_a_canvas_that_is_missing(tmp_path: Path, spec: DetectorSpec):
    write_all(tmp_path, of_canvases(spec))
    (tmp_path / "96x64" / "manifest.json").unlink()
    with pytest.raises(ArtifactError, match=r"96x64/manifest\.json not found: preprocessing did not run"):
        read_manifests(tmp_path)


def test_canvases_of_different_runs(tmp_path: Path, spec: DetectorSpec):
    written = of_canvases(spec)
    other = replace(spec, atc={"image_sizes": [[64, 96], [96, 64]]}, image={**spec.image.model_dump(), "short": 50})
    write_all(tmp_path, {**written, "96x64": manifest(other.with_canvas(Size(96, 64)))})
    with pytest.raises(ArtifactError, match=r"96x64 and .*64x96 were preprocessed for different specs"):
        read_manifests(tmp_path)


@pytest.mark.parametrize("folders", ["[]", '["../64x96"]', '["64x96/.."]', "[1]", '["64x96","64x96"]'])
def test_a_damaged_list_of_canvases(tmp_path: Path, folders: str):
    (tmp_path / "manifest.json").write_text(f'{{"format":"omline-canvases-1","folders":{folders}}}')
    with pytest.raises(ArtifactError, match="is not a manifest of bins"):
        read_manifests(tmp_path)


def test_no_folders_per_canvas_where_there_is_no_manifest(tmp_path: Path):
    assert canvas_folders(tmp_path) == canvas_folders(tmp_path / "none") == ()
