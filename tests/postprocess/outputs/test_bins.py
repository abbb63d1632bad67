import json
import logging
from pathlib import Path

import pytest

from detector.errors import ArtifactError, SpecError
from detector.geometry import Size
from detector.products.bins_manifest import BinsManifest
from detector.products.manifest_files import write_manifest
from detector.spec import DetectorSpec, replace
from postprocess.outputs.bins import Told, read_bins


def spec_file(folder: Path, spec: DetectorSpec) -> str:
    path = folder / "model.json"
    path.write_text(json.dumps({"spec": spec.model_dump(mode="json")}))
    return str(path)


def info_file(folder: Path, text: str) -> Path:
    path = folder / "origin_pictures.info"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_manifest_is_read_from_its_folder_or_file(bins: Path, manifest: BinsManifest):
    assert read_bins(bins, Told()) == {"": manifest}
    assert read_bins(bins / "manifest.json", Told()) == {"": manifest}


def test_an_option_that_agrees_with_the_manifest_is_welcome(bins: Path, manifest: BinsManifest):
    assert read_bins(bins, Told(height=64, width=96, recipe="mmdet")) == {"": manifest}


@pytest.mark.parametrize(
    ("told", "message"),
    [
        (Told(height=800), r"--net_input_height is 800, but the manifest .* says 64"),
        (Told(width=1333), r"--net_input_width is 1333, but the manifest .* says 96"),
        (Told(recipe="modelzoo"), r"--recipe is modelzoo, but the manifest .* says mmdet"),
    ],
)
def test_an_option_that_contradicts_the_manifest_is_an_error(bins: Path, told: Told, message: str):
    with pytest.raises(SpecError, match=message):
        read_bins(bins, told)


def test_a_model_of_the_same_bins_says_what_the_outputs_are(bins: Path, tmp_path: Path, spec: DetectorSpec):
    model = replace(spec, name="other", classes=("x", "y"))
    assert read_bins(bins, Told(model=spec_file(tmp_path, model)))[""].spec == model


def test_a_model_of_other_bins_is_an_error(bins: Path, tmp_path: Path, spec: DetectorSpec):
    model = spec_file(tmp_path, replace(spec.with_canvas(Size(32, 64)), image={**spec.image.model_dump(), "short": 9}))
    with pytest.raises(SpecError, match=r"different bins: canvas 32x64 and 64x96, short 9 and None; preprocess"):
        read_bins(bins, Told(model=model))


def test_no_manifest(tmp_path: Path):
    with pytest.raises(ArtifactError, match=r"manifest.json not found: preprocessing did not"):
        read_bins(tmp_path, Told())


def test_an_info_file_with_a_model(tmp_path: Path, spec: DetectorSpec, manifest: BinsManifest):
    info = info_file(tmp_path, "0 val 2017/a.jpg 48 32\n1 val 2017/b.jpg 40 80\n2 val 2017/c.jpg 96 64\n")
    found = read_bins(info, Told(model=spec_file(tmp_path, spec)))[""]
    assert found.images == manifest.images  # the blank in the folder's name does no harm
    assert found.spec == spec


def test_a_suffix_counts_in_any_case(tmp_path: Path):
    with pytest.raises(ArtifactError, match=r"MANIFEST.JSON not found: preprocessing did not"):
        read_bins(tmp_path / "MANIFEST.JSON", Told())


def test_a_blank_in_a_file_name_is_kept(tmp_path: Path, spec: DetectorSpec):
    info = info_file(tmp_path, "0 /d/my  cat 2.jpg 48 32\r\n")
    assert read_bins(info, Told(model=spec_file(tmp_path, spec)))[""].images[0].file_name == "my  cat 2.jpg"


def test_an_info_file_alone_means_the_published_guide(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    info = info_file(tmp_path, "0 /opt/npu/coco/val2017/000000000139.jpg 640 427\n")
    with caplog.at_level(logging.WARNING):
        found = read_bins(info, Told(height=800, width=1333))[""]
    assert not caplog.records
    assert found.spec.name == "fcos_r50_caffe_fpn_1x"
    assert found.spec.canvas == Size(800, 1333)
    # 640 x 427 -> scale 800 / 427, floor 1199 wide, centred: 67 columns on the left, as the guide's bins have it.
    assert found.images[0].resized == Size(800, 1199)
    assert (found.images[0].top, found.images[0].left) == (0, 67)
    assert found.images[0].stem == "000000000139"


def test_the_guides_default_canvas_is_taken_aloud(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    info = info_file(tmp_path, "0 a.jpg 640 427\n")
    with caplog.at_level(logging.WARNING):
        assert read_bins(info, Told(recipe="mmdet"))[""].spec.canvas == Size(1344, 1344)
    assert "taking 1344" in caplog.text


def test_an_option_that_contradicts_the_model_is_an_error(tmp_path: Path, spec: DetectorSpec):
    info = info_file(tmp_path, "0 a.jpg 640 427\n")
    with pytest.raises(SpecError, match=r"--net_input_width is 1333, but the model .* says 96"):
        read_bins(info, Told(model=spec_file(tmp_path, spec), width=1333))


@pytest.mark.parametrize(
    "line",
    ["a.jpg 640 427", "my cat.jpg 640 427", "0 640 427", "0 a.jpg 640", "0 a.jpg wide 427", "0 a.jpg 640 0"],
)
def test_a_bad_line_is_named(tmp_path: Path, spec: DetectorSpec, line: str):
    info = info_file(tmp_path, f"0 ok.jpg 640 427\n{line}\n")
    with pytest.raises(ArtifactError, match=r"origin_pictures.info line 2: "):
        read_bins(info, Told(model=spec_file(tmp_path, spec)))


def test_no_info_file(tmp_path: Path):
    with pytest.raises(ArtifactError, match="not found: --test_annotation takes the manifest"):
        read_bins(tmp_path / "origin_pictures.info", Told(height=64, width=96))


def test_a_binary_file_is_no_info_file(tmp_path: Path):
    path = tmp_path / "x.info"
    path.write_bytes(b"\xff\xd8\xff\xe0")
    with pytest.raises(ArtifactError, match="neither a manifest nor a text"):
        read_bins(path, Told(height=64, width=96))


def test_an_empty_list_is_refused(tmp_path: Path, spec: DetectorSpec):
    with pytest.raises(ArtifactError, match="lists no images"):
        read_bins(info_file(tmp_path, ""), Told(model=spec_file(tmp_path, spec)))


def test_an_image_listed_twice_is_refused(tmp_path: Path, manifest: BinsManifest):
    write_manifest(tmp_path, manifest.model_copy(update={"images": manifest.images[:1] * 2}))
    with pytest.raises(ArtifactError, match=r"lists the file a.jpg twice"):
        read_bins(tmp_path, Told())


def test_geometry_that_the_spec_does_not_give_is_refused(tmp_path: Path, manifest: BinsManifest):
    first = manifest.images[0]
    narrower = first.model_copy(update={"resized": first.resized._replace(width=first.resized.width - 1)})
    write_manifest(tmp_path, manifest.model_copy(update={"images": (narrower, *manifest.images[1:])}))
    with pytest.raises(ArtifactError, match=rf"is not as its spec places '{first.file_name}': got .*; expected "):
        read_bins(tmp_path, Told())


def test_an_info_file_does_not_tell_the_canvas_of_an_image(tmp_path: Path, spec: DetectorSpec):
    both = replace(spec, atc={"image_sizes": [[64, 96], [96, 64]]})
    info = info_file(tmp_path, "0 a.jpg 640 427\n")
    with pytest.raises(SpecError, match="has the canvases 64x96, 96x64, and an info file does not say on which"):
        read_bins(info, Told(model=spec_file(tmp_path, both)))


def test_a_model_with_gears_takes_the_canvas_of_the_bins(bins: Path, manifest: BinsManifest, tmp_path: Path):
    both = replace(manifest.spec, atc={"image_sizes": [[64, 96], [96, 64]]})
    model = spec_file(tmp_path, both.with_canvas(Size(96, 64)))
    assert read_bins(bins, Told(model=model))[""].spec == both.with_canvas(manifest.spec.canvas)
