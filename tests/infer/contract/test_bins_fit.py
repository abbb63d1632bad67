import hashlib
import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from detector.errors import ArtifactError, SpecError
from detector.geometry import Size
from detector.products.bins_manifest import BinImage, BinsManifest
from detector.products.manifest_files import read_manifest, write_manifest
from detector.products.om_file import write_description
from detector.products.results_origin import RunFacts
from detector.spec import DetectorSpec, replace
from detector.spec.image import ImageSpec
from infer.contract.bins_fit import check_bins, input_difference, model_spec, origin_of, require_shape
from infer.session import DYNAMIC, Tensor

CANVAS = Size(32, 64)
FACTS = RunFacts(backend="onnxruntime", version="1", device="CPU", batch_size=8)


def make_spec(**changes: Any) -> DetectorSpec:
    image = ImageSpec(**{"channels": "BGR", "mean": (1, 2, 3), "std": (1, 1, 1), **changes})
    return DetectorSpec(name="tiny", detector="fcos", canvas=CANVAS, image=image, classes=("circle",))


SPEC = make_spec()


@pytest.fixture
def bins(tmp_path: Path) -> Path:
    folder = tmp_path / "bins"
    folder.mkdir()
    images = []
    for stem in ("a", "b"):
        (folder / f"{stem}.bin").write_bytes(bytes(SPEC.input.num_bytes))
        box = SPEC.letterbox(Size(30, 40))
        images.append(BinImage(stem=stem, file_name=f"{stem}.jpg", image=Size(30, 40), resized=box.resized,
                               top=box.top, left=box.left))  # fmt: skip
    write_manifest(folder, BinsManifest(spec=SPEC, image_source="images", images=tuple(images)))
    return folder


def test_bins_of_the_same_spec_pass(bins: Path):
    check_bins("m.onnx", SPEC, [str(bins)])


def test_bins_of_a_run_that_was_cut_short_are_refused(bins: Path):
    (bins / "manifest.json").rename(bins / ".unfinished.json")
    told = r"bins has no manifest\.json, and .*/bins/\.unfinished\.json of a run .* run `python -m preprocess` again .*"
    for model in (SPEC, None):
        with pytest.raises(ArtifactError, match=told + "with the same options"):
            check_bins("m.onnx", model, [str(bins)])
        with pytest.raises(ArtifactError, match=told):
            check_bins("m.onnx", model, [str(bins / "a.bin")])


def test_so_are_those_of_one_canvas_where_the_record_lies_above(bins: Path, monkeypatch: pytest.MonkeyPatch):
    canvas = bins.rename(bins.with_name("32x64"))
    (canvas / "manifest.json").rename(bins.parent / ".unfinished.json")
    with pytest.raises(ArtifactError, match=r"32x64 has no manifest\.json, and .*/\.unfinished\.json of a run"):
        check_bins("m.onnx", SPEC, [str(canvas)])
    monkeypatch.chdir(canvas)
    with pytest.raises(ArtifactError, match="cut short"):
        check_bins("m.onnx", SPEC, ["."])
    write = canvas.rename(canvas.with_name("elsewhere"))
    check_bins("m.onnx", SPEC, [str(write)])


def test_a_manifest_that_leads_nowhere_is_no_missing_one(bins: Path):
    (bins / "manifest.json").unlink()
    (bins / "manifest.json").symlink_to("nowhere")
    with pytest.raises(ArtifactError, match=r"manifest\.json is a link that leads nowhere; remove it and run"):
        check_bins("m.onnx", SPEC, [str(bins)])


def test_other_thresholds_need_no_other_bins(bins: Path):
    check_bins("m.onnx", replace(SPEC, classes=("circle", "star")), [str(bins)])


def test_bins_of_another_spec_are_refused_with_both_values(bins: Path):
    other = make_spec(mean=(0, 2, 3))
    with pytest.raises(
        SpecError, match=r"image\.mean is \[1\.0, 2\.0, 3\.0\] in the bins and \[0\.0, 2\.0, 3\.0\] in the model"
    ):
        check_bins("m.onnx", other, [str(bins)])


def test_bins_of_another_canvas_are_refused(bins: Path):
    with pytest.raises(SpecError, match=r"canvas is \(32, 64\) in the bins and \(64, 64\) in the model"):
        check_bins("m.onnx", SPEC.with_canvas(Size(64, 64)), [str(bins)])


@pytest.mark.parametrize("change", [{"channels": "RGB"}, {"std": (2, 2, 2)}, {"resize": "modelzoo"}, {"short": 30}])
def test_every_field_of_the_input_counts(change: dict[str, Any]):
    assert f"image.{next(iter(change))} is" in (input_difference(SPEC, make_spec(**change)) or "")


def test_a_missing_bin_names_its_image(bins: Path):
    (bins / "b.bin").unlink()
    with pytest.raises(ArtifactError, match=r"b\.bin of image b\.jpg is missing.*make preprocess"):
        check_bins("m.onnx", SPEC, [str(bins)])


def test_a_truncated_bin_names_its_image(bins: Path):
    (bins / "b.bin").write_bytes(b"short")
    with pytest.raises(
        ArtifactError, match=r"b\.bin of image b\.jpg has 5 bytes, expected 24576 for 'input' \[3, 32, 64\]"
    ):
        check_bins("m.onnx", SPEC, [str(bins)])


def test_a_bin_of_another_run_is_refused(bins: Path):
    (bins / "c.bin").write_bytes(bytes(SPEC.input.num_bytes))
    with pytest.raises(ArtifactError, match=r"c\.bin is not in .*manifest\.json: it is left from another run"):
        check_bins("m.onnx", SPEC, [str(bins)])


def test_a_foreign_model_still_needs_whole_bins(bins: Path):
    (bins / "b.bin").unlink()
    with pytest.raises(ArtifactError, match="is missing"):
        check_bins("m.onnx", None, [str(bins)])


def test_an_unreadable_manifest_is_an_error(bins: Path):
    (bins / "manifest.json").write_text("{")
    with pytest.raises(ArtifactError, match=r"manifest\.json is not a manifest of bins"):
        check_bins("m.onnx", None, [str(bins)])


def test_single_files_are_checked_against_the_manifest_beside_them(bins: Path):
    with pytest.raises(SpecError, match=r"image\.mean"):
        check_bins("m.onnx", make_spec(mean=(0, 0, 0)), [str(bins / "a.bin")])


def test_bins_without_manifest_are_run_with_a_word(bins: Path, caplog: pytest.LogCaptureFixture):
    (bins / "manifest.json").unlink()
    with caplog.at_level(logging.WARNING):
        check_bins("m.onnx", SPEC, [str(bins)])
    assert [record.message for record in caplog.records] == [
        f"{bins} has no manifest.json: whether its bins fit m.onnx cannot be checked"
    ]


def test_a_foreign_model_and_folder_run_without_a_word(bins: Path, caplog: pytest.LogCaptureFixture):
    (bins / "manifest.json").unlink()
    check_bins("m.onnx", None, [str(bins)])
    assert not caplog.records


def test_an_om_has_its_spec_beside_it(tmp_path: Path):
    (tmp_path / "m.om").touch()
    assert model_spec(str(tmp_path / "m.om")) is None
    write_description(tmp_path / "m.om.json", {"spec": SPEC.model_dump(mode="json")})
    assert model_spec(str(tmp_path / "m.om")) == SPEC


def test_the_origin_names_bins_and_model(bins: Path, tmp_path: Path):
    model = tmp_path / "m.onnx"
    model.write_bytes(b"model")
    origin = origin_of(str(model), SPEC, check_bins(str(model), SPEC, [str(bins)]).spec, FACTS)
    assert origin is not None
    assert origin.bins_fingerprint == SPEC.bins_fingerprint()
    assert origin.model.sha256 == hashlib.sha256(b"model").hexdigest()
    assert (origin.classes, origin.canvas, origin.checkpoint) == (("circle",), CANVAS, None)


def test_the_origin_names_the_manifest_where_there_is_one(bins: Path, tmp_path: Path):
    (tmp_path / "m.onnx").write_bytes(b"model")
    known = check_bins("m.onnx", SPEC, [str(bins / "a.bin"), str(bins / "b.bin")])
    origin = origin_of(str(tmp_path / "m.onnx"), SPEC, known.spec, FACTS, manifest_sha256=known.manifest_sha256)
    assert origin is not None
    assert origin.manifest_sha256 == hashlib.sha256((bins / "manifest.json").read_bytes()).hexdigest()
    (tmp_path / "other").mkdir()
    write_manifest(tmp_path / "other", BinsManifest(spec=SPEC, image_source="others", images=()))
    assert check_bins("m.onnx", SPEC, [str(bins), str(tmp_path / "other")]).manifest_sha256 is None


def test_the_origin_says_how_the_model_computes(bins: Path, tmp_path: Path):
    (tmp_path / "m.onnx").write_bytes(b"model")
    simulated = SPEC.model_copy(update={"precision": "force_fp16 (simulated)"})
    origin = origin_of(str(tmp_path / "m.onnx"), simulated, SPEC, FACTS)
    assert origin is not None
    assert origin.precision == "force_fp16 (simulated)"


def test_bins_that_are_partly_unknown_have_no_fingerprint(bins: Path, tmp_path: Path):
    (tmp_path / "other").mkdir()
    assert check_bins("m.onnx", None, [str(bins), str(tmp_path / "other")]).spec is None


def test_a_foreign_model_and_folder_have_no_origin():
    assert origin_of("m.onnx", None, None, FACTS) is None


@pytest.mark.parametrize("gears", [{"image_sizes": [[64, 32], [32, 64]]}, {"dims": [[1, 64, 32], [4, 32, 64]]}])
def test_bins_on_the_canvas_of_a_gear_fit(gears: dict[str, Any], bins: Path, tmp_path: Path):
    model = replace(SPEC.with_canvas(Size(64, 32)), atc={**SPEC.atc.model_dump(), **gears})
    (tmp_path / "m.onnx").touch()
    found = check_bins("m.onnx", model, [str(bins)]).spec
    origin = origin_of(str(tmp_path / "m.onnx"), model, found, FACTS)
    assert origin is not None
    assert origin.canvas == CANVAS
    with pytest.raises(SpecError, match=r"image\.mean is"):
        check_bins("m.onnx", replace(model, image={**model.image.model_dump(), "mean": (0, 2, 3)}), [str(bins)])


@pytest.mark.parametrize("shape", [(2, 3, 32, 64), (2, 3, DYNAMIC, DYNAMIC)])
def test_a_model_of_the_shape_of_the_bins_fits(shape: tuple[int, ...]):
    require_shape("m.onnx", Tensor("input", shape, np.dtype(np.float32)), SPEC)


@pytest.mark.parametrize("shape", [(2, 3, 64, 32), (2, 32, 64, 3), (2, 96, 64)])
def test_a_model_of_as_many_bytes_in_another_shape_does_not(shape: tuple[int, ...]):
    with pytest.raises(SpecError, match=r"m\.onnx takes 'input' .*the bins hold 'input' \[3, 32, 64\] float32 each"):
        require_shape("m.onnx", Tensor("input", shape, np.dtype(np.float32)), SPEC)


def test_the_digests_of_bins_are_found_by_file(bins: Path):
    manifest = read_manifest(bins)
    hashed = [image.model_copy(update={"sha256": image.stem * 64}) for image in manifest.images[:1]]
    write_manifest(bins, manifest.model_copy(update={"images": (*hashed, manifest.images[1])}))
    for entries in ([str(bins)], [f"{bins}/"], [f"{bins}/./a.bin"]):
        assert check_bins("m.onnx", SPEC, entries).digests == {str(bins / "a.bin"): "a" * 64}
