import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from detector.errors import ArtifactError
from detector.files.digest import sha256_of
from detector.products.bins_manifest import BinsManifest
from detector.products.manifest_files import read_manifest, write_manifest
from detector.products.results_origin import ModelFile, ResultsOrigin, write_origin
from detector.spec import replace
from postprocess.outputs.results import read_results

Save = Callable[..., None]


def read(folder: Path, manifest: BinsManifest) -> list:
    return list(read_results(folder, manifest))


def test_outputs_are_read_in_manifest_order(results: Path, manifest: BinsManifest):
    found = read(results, manifest)
    assert [result.image.file_name for result in found] == ["a.jpg", "b.jpg", "c.jpg"]
    assert found[1].labels[:3].tolist() == [2, 1, -1]
    np.testing.assert_array_equal(found[0].dets[0], np.array([8, 8, 40, 48, 0.9], np.float32))


def test_npy_outputs_with_their_batch_axis_are_read(results: Path, manifest: BinsManifest, save: Save):
    expected = read(results, manifest)
    for path in results.iterdir():
        path.unlink()
    save(results, "a", (0, 8, 8, 40, 48, 0.9), npy=True)
    save(results, "b", (2, 0, 0, 32, 64, 0.8), (1, 1, 1, 2, 2, 0.01), npy=True)
    save(results, "c", npy=True)
    for ours, theirs in zip(read(results, manifest), expected, strict=True):
        np.testing.assert_array_equal(ours.dets, theirs.dets)
        np.testing.assert_array_equal(ours.labels, theirs.labels)


def test_a_summary_inside_the_folder_is_no_output(results: Path, manifest: BinsManifest):
    (results.parent / "result_summary.json").rename(results / "sumary.json")  # as ais_infer spelt it
    assert len(read(results, manifest)) == 3


def test_the_folder_may_be_the_current_one(results: Path, manifest: BinsManifest, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(results)
    assert len(read(Path(), manifest)) == 3


def test_no_folder(tmp_path: Path, manifest: BinsManifest):
    with pytest.raises(ArtifactError, match=r"nowhere not found: inference did not run.*make infer"):
        read(tmp_path / "nowhere", manifest)


def test_no_summary_means_unfinished(results: Path, manifest: BinsManifest):
    (results.parent / "result_summary.json").unlink()
    with pytest.raises(ArtifactError, match=r"result_summary.json not found: inference did not finish.*make infer"):
        read(results, manifest)


def test_half_a_summary_means_unfinished(results: Path, manifest: BinsManifest):
    (results.parent / "result_summary.json").write_text('{"filesinfo": {"0"')
    with pytest.raises(ArtifactError, match=r"result_summary.json is not JSON, .*did not finish"):
        read(results, manifest)


@pytest.mark.parametrize("text", ["{}", "[]", '{"filesinfo": []}'])
def test_a_summary_without_samples_is_none(results: Path, manifest: BinsManifest, text: str):
    (results.parent / "result_summary.json").write_text(text)
    with pytest.raises(
        ArtifactError, match=r"result_summary.json is no summary of ais_bench: .*`filesinfo`.*make infer"
    ):
        read(results, manifest)


def test_the_results_of_several_canvases_are_no_result_of_one(results: Path, manifest: BinsManifest):
    (results.parent / "result_summary.json").write_text('{"format": "omline-runs-1", "runs": {}}')
    with pytest.raises(ArtifactError, match=r"is of several canvases: .* for one of them the results .*/<canvas>"):
        read(results, manifest)


def test_a_summary_of_as_many_samples_as_images(results: Path, manifest: BinsManifest):
    (results.parent / "result_summary.json").write_text(json.dumps({"filesinfo": {"0": {}, "1": {}, "2": {}}}))
    assert len(read(results, manifest)) == 3
    (results.parent / "result_summary.json").write_text(json.dumps({"filesinfo": {"0": {}, "1": {}}}))
    with pytest.raises(ArtifactError, match=r"lists 2 samples, expected the 3 images of the manifest"):
        read(results, manifest)


@pytest.mark.parametrize("name", ["b_0.bin", "b_1.bin"])
def test_a_missing_file_names_the_image(results: Path, manifest: BinsManifest, name: str):
    (results / name).unlink()
    with pytest.raises(ArtifactError, match=rf"{name} not found: image b.jpg .*\(1 of 6 files missing\).*make infer"):
        read(results, manifest)


def test_an_empty_folder_lacks_everything(results: Path, manifest: BinsManifest):
    for path in results.iterdir():
        path.unlink()
    with pytest.raises(ArtifactError, match=r"a_0.bin not found: image a.jpg .*\(6 of 6 files missing\)"):
        read(results, manifest)


def test_a_header_that_python_2_wrote_is_read_in_silence(results: Path, manifest: BinsManifest, save: Save):
    for path in results.iterdir():
        path.unlink()
    for name in ("a", "b", "c"):
        save(results, name, npy=True)
    path = results / "a_0.npy"
    data = path.read_bytes()
    path.write_bytes(data.replace(b"(1, 100), ", b"(1L, 100L)"))  # a warning would fail the test
    assert len([*read_results(results, manifest)]) == 3


@pytest.mark.parametrize("name", ["z_0.bin", "a_2.bin", "a.bin", "a_00.bin", "a_0.npy", "notes.md"])
def test_a_surplus_file_is_refused(results: Path, manifest: BinsManifest, name: str):
    (results / name).write_bytes(b"x" * 800)
    with pytest.raises(ArtifactError, match=rf"{name} belongs to no image of the manifest \(1 such files.*2 outputs"):
        read(results, manifest)


@pytest.mark.parametrize("name", ["device0_0", "64x96"])
def test_results_of_several_devices_or_canvases_are_refused(results: Path, manifest: BinsManifest, name: str):
    (results / name).mkdir()
    with pytest.raises(ArtifactError, match=rf"{name} is a folder: .*; if an earlier run left it, empty"):
        read(results, manifest)


@pytest.mark.parametrize(
    ("name", "size", "expected"),
    [("b_0.bin", 799, 800), ("b_1.bin", 1996, 2000), ("b_1.bin", 2004, 2000), ("b_1.bin", 0, 2000)],
)
def test_a_wrong_size_names_file_image_and_output(
    results: Path, manifest: BinsManifest, name: str, size: int, expected: int
):
    (results / name).write_bytes(bytes(size))
    with pytest.raises(
        ArtifactError, match=rf"{name} \(image b.jpg\) has {size} bytes, expected {expected} for output"
    ):
        read(results, manifest)


def test_swapped_outputs_are_refused(results: Path, manifest: BinsManifest):
    for stem in "abc":
        shutil.move(results / f"{stem}_0.bin", results / "t")
        shutil.move(results / f"{stem}_1.bin", results / f"{stem}_0.bin")
        shutil.move(results / "t", results / f"{stem}_1.bin")
    with pytest.raises(ArtifactError, match=r"a_0.bin .* 2000 bytes, expected 800 for output 'labels' \[100\] int64"):
        read(results, manifest)


def test_text_outputs_are_refused(results: Path, manifest: BinsManifest):
    for path in list(results.iterdir()):
        path.rename(path.with_suffix(".txt"))
    with pytest.raises(ArtifactError, match=r"round to six decimals.*--outfmt BIN"):
        read(results, manifest)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda path: path.write_bytes(path.read_bytes()[:-4]), "not a .*.npy file"),
        (lambda path: path.write_bytes(path.read_bytes() + b"x"), r"\[1, 100, 5\] float32 and more bytes, expected"),
        (lambda path: path.write_bytes(b""), "not a .*.npy file"),
        (lambda path: np.save(path, np.zeros((100, 5), np.float16)), r"\[100, 5\] float16, expected output 'dets'"),
        (lambda path: np.save(path, np.zeros((5, 100), np.float32)), r"\[5, 100\] float32, expected"),
        (lambda path: np.save(path, np.array([{}], object), allow_pickle=True), "not a .*.npy file"),
        # Without the address of what Python's parser found.
        (lambda path: path.write_bytes(path.read_bytes().replace(b"False", b"Folse")), r"string on line 1; write it"),
    ],
)
def test_damaged_npy_outputs_are_refused(
    results: Path, manifest: BinsManifest, save: Save, damage: Callable[[Path], None], message: str
):
    for path in results.iterdir():
        path.unlink()
    for stem in "abc":
        save(results, stem, npy=True)
    damage(results / "b_1.npy")
    with pytest.raises(ArtifactError, match=rf"b_1.npy \(image b.jpg\) .*{message}"):
        read(results, manifest)


NAN, INF = float("nan"), float("inf")


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ((0, NAN, 1, 2, 3, 0.5), "dets row 0 is not finite"),
        ((0, 0, 1, INF, 3, 0.5), "dets row 0 is not finite"),
        ((0, 0, 1, 2, 3, NAN), "dets row 0 is not finite"),
        ((0, 0, 1, 2, 3, 1.5), "dets row 0 has the score 1.5, expected 0..1"),
        ((0, 0, 1, 2, 3, 1.00001), r"dets row 0 has the score 1.0000.*, expected 0..1"),
        ((0, 0, 1, 2, 3, -0.5), "dets row 0 has the score -0.5, expected 0..1"),
        ((0, 5, 1, 2, 3, 0.5), "dets row 0 is not x1 y1 x2 y2"),
        ((-1, 0, 1, 2, 3, 0.5), r"row 0 has score 0.5 but label -1, expected 0..2"),
        ((3, 0, 1, 2, 3, 0.5), r"row 0 has score 0.5 but label 3, expected 0..2"),
    ],
)
def test_impossible_values_name_the_image(
    results: Path, manifest: BinsManifest, save: Save, row: tuple[float, ...], message: str
):
    save(results, "b", row)
    with pytest.raises(ArtifactError, match=rf"image b.jpg: {message}"):
        read(results, manifest)


def test_a_saturated_sigmoid_may_be_rounded_up(results: Path, manifest: BinsManifest, save: Save):
    save(results, "b", (0, 1, 1, 5, 5, 1 + 2**-22))
    assert read(results, manifest)[1].dets[0, 4] > 1


def test_labels_of_unused_rows_are_free(results: Path, manifest: BinsManifest, save: Save):
    save(results, "b", (0, 1, 1, 5, 5, 0.5), (4711, 0, 0, 0, 0, 0))  # the operator on the card does not mask them
    assert read(results, manifest)[1].labels[1] == 4711


# --- models that put out candidates (atc.nms: host) ------------------------------------------------------------------

CORNERS = np.array([[8, 8, 40, 48], [8, 8, 40, 46], [50, 10, 90, 60]], np.float32)
SCORES = np.array([[0.9, 0, 0], [0.8, 0, 0.3], [0, 0.5, 0]], np.float32)


@pytest.fixture
def for_the_host(manifest: BinsManifest) -> BinsManifest:
    """As before the conversion: nothing says how many candidates there are."""
    return manifest.model_copy(update={"spec": replace(manifest.spec, atc={"nms": "host"})})


def put_out(folder: Path, manifest: BinsManifest, *, npy: bool = False) -> None:
    for path in folder.iterdir():
        path.unlink()
    for image in manifest.images:
        for index, array in enumerate((CORNERS, SCORES)):
            if npy:
                np.save(folder / f"{image.stem}_{index}.npy", array[None])
            else:
                array.tofile(folder / f"{image.stem}_{index}.bin")


@pytest.mark.parametrize("npy", [False, True])
def test_candidates_are_suppressed(results: Path, for_the_host: BinsManifest, npy: bool):
    put_out(results, for_the_host, npy=npy)
    first = read(results, for_the_host)[0]
    assert first.labels[:4].tolist() == [0, 1, 2, -1]  # the second box is the first again, of its class
    np.testing.assert_array_equal(first.dets[:3, :4], CORNERS[[0, 2, 1]])
    np.testing.assert_array_equal(first.dets[:4, 4], np.array([0.9, 0.5, 0.3, 0], np.float32))


def test_candidates_of_another_number_are_refused(results: Path, for_the_host: BinsManifest):
    put_out(results, for_the_host)
    CORNERS[:2].tofile(results / "b_0.bin")
    with pytest.raises(ArtifactError, match=r"b_0\.bin .* has 32 bytes, expected 48 for output 'boxes'"):
        read(results, for_the_host)


def test_candidates_that_are_not_finite_are_refused(results: Path, for_the_host: BinsManifest):
    put_out(results, for_the_host)
    np.full_like(SCORES, np.nan).tofile(results / "b_1.bin")
    with pytest.raises(ArtifactError, match=r"image b\.jpg: scores are not finite"):
        read(results, for_the_host)


def test_candidates_where_detections_are_expected_say_so(
    results: Path, manifest: BinsManifest, for_the_host: BinsManifest
):
    put_out(results, for_the_host)
    with pytest.raises(ArtifactError, match=r"expected 800 for output .*name the model with --model .*atc\.nms"):
        read(results, manifest)


def bound(results: Path, manifest: BinsManifest) -> None:
    """The record beside a folder, with the digests of its files."""
    digests = {path.name: sha256_of(path) for path in results.iterdir()}
    spec = manifest.spec
    facts = {"bins_fingerprint": spec.bins_fingerprint(), "checkpoint": None, "classes": None, "canvas": spec.canvas}
    origin = ResultsOrigin(model=ModelFile(file="m.onnx", sha256="0"), results=digests, **facts)
    write_origin(results, origin, mode=0o640)


def test_results_that_inference_wrote_are_read(results: Path, manifest: BinsManifest):
    bound(results, manifest)
    assert len(read(results, manifest)) == 3


def test_results_of_bins_that_were_preprocessed_again_are_refused(results: Path, bins: Path):
    path = bins / "manifest.json"
    facts = {"bins_fingerprint": read_manifest(bins).spec.bins_fingerprint(), "checkpoint": None, "classes": None}
    facts |= {"canvas": None, "manifest_sha256": sha256_of(path)}
    write_origin(results, ResultsOrigin(model=ModelFile(file="m.onnx", sha256="0"), **facts), mode=0o640)
    assert len(read(results, read_manifest(bins))) == 3
    write_manifest(bins, read_manifest(bins).model_copy(update={"image_source": "elsewhere"}))
    with pytest.raises(ArtifactError, match=r"the bins were preprocessed again since, .*make infer AGAIN=1"):
        read(results, read_manifest(bins))


def swapped(results: Path) -> None:
    a, b = (results / name for name in ("a_1.bin", "b_1.bin"))
    content = a.read_bytes()
    a.write_bytes(b.read_bytes())
    b.write_bytes(content)


@pytest.mark.parametrize(
    ("damage", "name"),
    [
        (swapped, "a_1.bin"),
        (lambda results: (results / "b_1.bin").write_bytes(bytes(2000)), "b_1.bin"),
    ],
)
def test_results_that_are_not_what_inference_wrote_are_refused(
    results: Path, manifest: BinsManifest, damage: Callable[[Path], None], name: str
):
    bound(results, manifest)
    damage(results)
    with pytest.raises(ArtifactError, match=rf"{name} \(image .\.jpg\) is not what inference wrote"):
        read(results, manifest)


def test_results_of_another_run_in_one_folder_are_refused(results: Path, manifest: BinsManifest, save: Save):
    for stem in "abc":
        for index in (0, 1):
            (results / f"{stem}_{index}.bin").rename(results.parent / f"{stem}_{index}.bin")
    save(results, "a")
    bound(results, manifest)
    for path in results.parent.glob("?_?.bin"):
        path.rename(results / path.name)
    with pytest.raises(ArtifactError, match=r"is not of the run that .*result_origin\.json records; run"):
        read(results, manifest)


def test_a_pipe_among_the_results_is_refused(results: Path, manifest: BinsManifest):
    (results / "c_1.bin").unlink()
    os.mkfifo(results / "c_1.bin")
    with pytest.raises(ArtifactError, match=r"c_1\.bin is no regular file; remove it"):
        read(results, manifest)
