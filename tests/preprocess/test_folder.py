"""A whole folder: names, manifest, the same bytes for every number of workers, nothing left after a failure."""

import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from detector.errors import ArtifactError, DataError
from detector.files.lock import exclusive
from detector.images.network_input import to_input
from detector.images.read_image import read_image
from detector.products.manifest_files import read_manifest, read_manifests
from detector.spec import DetectorSpec, replace
from preprocess.folder import max_num_bytes, preprocess_folder

ROOT = Path(__file__).resolve().parents[2]


def digests(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}


def test_one_bin_per_image_and_a_manifest(tmp_path: Path, images: Path, spec: DetectorSpec):
    manifest = preprocess_folder(images, tmp_path / "bins", spec, workers=1)[""]
    stems = [f"{index:012d}" for index in range(6)]
    assert [image.stem for image in manifest.images] == stems
    assert sorted(digests(tmp_path / "bins")) == [*(f"{stem}.bin" for stem in stems), "manifest.json"]
    assert read_manifest(tmp_path / "bins") == manifest
    assert manifest.spec == spec
    assert manifest.image_source == str(images)


def test_a_bin_is_the_tensor_of_its_image(tmp_path: Path, images: Path, spec: DetectorSpec):
    manifest = preprocess_folder(images, tmp_path / "bins", spec, workers=1)[""]
    for image in manifest.images:
        tensor, box = to_input(read_image(images / image.file_name), spec)
        assert (tmp_path / "bins" / f"{image.stem}.bin").read_bytes() == tensor.tobytes()
        assert image.letterbox(spec.canvas) == box


def test_every_number_of_workers_writes_the_same_bytes(tmp_path: Path, images: Path, spec: DetectorSpec):
    results = []
    for workers in (1, 2, 3):
        preprocess_folder(images, tmp_path / str(workers), spec, workers=workers)
        results.append(digests(tmp_path / str(workers)))
    assert results[0] == results[1] == results[2]


def test_the_manifest_binds_the_bytes_of_every_bin(tmp_path: Path, images: Path, spec: DetectorSpec):
    for dtype in ("float32", "uint8"):
        of_dtype = replace(spec, image={**spec.image.model_dump(), "dtype": dtype})
        manifest = preprocess_folder(images, tmp_path / "bins", of_dtype, workers=2)[""]
        found = digests(tmp_path / "bins")
        assert {f"{image.stem}.bin": image.sha256 for image in manifest.images} == {
            name: digest for name, digest in found.items() if name.endswith(".bin")
        }


def test_a_manifest_places_images_where_its_spec_does(tmp_path: Path, images: Path, spec: DetectorSpec):
    manifest = preprocess_folder(images, tmp_path / "bins", spec, workers=1)[""]
    manifest.require_placed(tmp_path / "bins" / "manifest.json")


def test_a_folder_that_another_run_fills_is_refused_and_left_alone(tmp_path: Path, images: Path, spec: DetectorSpec):
    preprocess_folder(images, tmp_path / "bins", spec, workers=1)
    before = digests(tmp_path / "bins")
    (tmp_path / "link").symlink_to("bins")
    with exclusive(tmp_path / "bins", doing="preprocessing into"):
        for name in ("bins", "link"):
            with pytest.raises(
                ArtifactError, match=r"bins is in use: process \d+ on .* is preprocessing into it since"
            ):
                preprocess_folder(images, tmp_path / name, spec, workers=1)
    assert digests(tmp_path / "bins") == before


@pytest.mark.parametrize("several", [False, True])
def test_what_a_killed_run_left_is_cleared_by_a_run_of_other_images_and_canvases(
    tmp_path: Path, images: Path, spec: DetectorSpec, both: DetectorSpec, several: bool
):
    bins = tmp_path / "bins"
    killed, later = (both, spec) if several else (spec, both)
    code = (
        "import os, sys; from pathlib import Path; from detector.spec import DetectorSpec\n"
        "import preprocess.folder as f; f.write_manifests = lambda *_: os._exit(9)\n"
        "images, bins, spec = sys.argv[1:]\n"
        "f.preprocess_folder(Path(images), Path(bins), DetectorSpec.model_validate_json(spec), workers=1)"
    )
    done = subprocess.run([sys.executable, "-c", code, images, bins, killed.model_dump_json()], cwd=ROOT)
    assert done.returncode == 9
    assert len(list(bins.rglob("*.bin"))) == 6
    (images / "000000000005.jpg").rename(images / "other.jpg")
    preprocess_folder(images, bins, later, workers=1, limit=2)
    preprocess_folder(images, tmp_path / "fresh", later, workers=1, limit=2)
    assert names(bins) == names(tmp_path / "fresh")


def test_bins_have_the_permissions_that_ais_bench_asks_for(tmp_path: Path, images: Path, spec: DetectorSpec):
    preprocess_folder(images, tmp_path / "bins", spec, workers=1)
    assert {path.stat().st_mode & 0o777 for path in (tmp_path / "bins").iterdir()} == {0o644}
    assert (tmp_path / "bins").stat().st_mode & 0o022 == 0


def test_names_with_dots_blanks_and_equal_stems_do_not_collide(tmp_path: Path, images: Path, spec: DetectorSpec):
    content = (images / "000000000000.jpg").read_bytes()
    folder = tmp_path / "names"
    folder.mkdir()
    names = ["a.1.jpg", "a.2.jpg", "a.jpg", "a.png", "A.jpg", "b c.jpg", "b_c.jpg", "图片.jpg", "照片.jpg"]
    for name in names:
        (folder / name).write_bytes(content)
    manifest = preprocess_folder(folder, tmp_path / "bins", spec, workers=1)[""]
    assert sorted(image.file_name for image in manifest.images) == sorted(names)
    bins = [path.name for path in (tmp_path / "bins").glob("*.bin")]
    assert len({name.split(".")[0].lower() for name in bins}) == len(names)
    assert all(name.isascii() and " " not in name for name in bins)


def test_images_of_sub_folders_are_images_of_their_own(tmp_path: Path, images: Path, spec: DetectorSpec):
    (tmp_path / "nested" / "a").mkdir(parents=True)
    (tmp_path / "nested" / "b").mkdir()
    (images / "000000000000.jpg").rename(tmp_path / "nested" / "a" / "001.jpg")
    (images / "000000000001.jpg").rename(tmp_path / "nested" / "b" / "001.jpg")
    manifest = preprocess_folder(tmp_path / "nested", tmp_path / "bins", spec, workers=1)[""]
    assert [image.file_name for image in manifest.images] == ["a/001.jpg", "b/001.jpg"]
    assert len({image.sha256 for image in manifest.images}) == 2
    assert read_manifest(tmp_path / "bins") == manifest
    assert names(tmp_path / "bins") == sorted([*(f"{image.stem}.bin" for image in manifest.images), "manifest.json"])


def test_only_annotated_images_keep_their_stems(tmp_path: Path, images: Path, spec: DetectorSpec):
    (images / "000000000000.png").write_bytes((images / "000000000000.jpg").read_bytes())
    whole = preprocess_folder(images, tmp_path / "whole", spec, workers=1)[""]
    (tmp_path / "a.json").write_text(
        '{"images": [{"file_name": "000000000003.jpg"}, {"file_name": "000000000000.jpg"}]}'
    )
    part = preprocess_folder(images, tmp_path / "part", spec, workers=1, annotations=tmp_path / "a.json")[""]
    assert part.images == (whole.images[0], whole.images[4])


@pytest.mark.parametrize(("exif", "size"), [("applied", (30, 20)), ("ignored", (20, 30))])
def test_the_spec_decides_on_orientations(
    tmp_path: Path, spec: DetectorSpec, exif: str, size: tuple[int, int], caplog: pytest.LogCaptureFixture
):
    (tmp_path / "turned").mkdir()
    quarter = Image.Exif()
    quarter[0x0112] = 6
    Image.new("RGB", (30, 20)).save(tmp_path / "turned" / "a.jpg", exif=quarter)
    of_dialect = replace(spec, image={**spec.image.model_dump(), "exif": exif})
    manifest = preprocess_folder(tmp_path / "turned", tmp_path / "bins", of_dialect, workers=1)[""]
    assert manifest.images[0].image == size
    assert (
        f"1 of 1 images has an EXIF orientation (a.jpg): {'the pixels' if exif == 'applied' else 'it is'}"
        in caplog.text
    )


def test_an_animation_named_jpg_is_told(
    tmp_path: Path, images: Path, spec: DetectorSpec, caplog: pytest.LogCaptureFixture
):
    frames = [Image.fromarray(np.full((20, 30, 3), 60 * index, np.uint8)) for index in range(3)]
    frames[0].save(images / "moving.jpg", "GIF", save_all=True, append_images=frames[1:])
    preprocess_folder(images, tmp_path / "bins", spec, workers=1)
    assert (
        "1 of 7 images has several frames or pages (moving.jpg): the first is taken, the others are not read: 2 frames"
        in caplog.text
    )


def test_a_limit_takes_the_first_names_and_changes_no_stem(tmp_path: Path, images: Path, spec: DetectorSpec):
    (images / "000000000000.png").write_bytes((images / "000000000000.jpg").read_bytes())
    whole = preprocess_folder(images, tmp_path / "whole", spec, workers=1)[""]
    for limit in (1, 3):  # of the two that would have one stem, the first alone; both
        part = preprocess_folder(images, tmp_path / f"part{limit}", spec, workers=1, limit=limit)[""]
        assert part.images == whole.images[:limit]


def test_a_second_run_replaces_the_first(tmp_path: Path, images: Path, spec: DetectorSpec):
    preprocess_folder(images, tmp_path / "bins", spec, workers=1)
    preprocess_folder(images, tmp_path / "bins", spec, workers=1, limit=2)
    assert sorted(digests(tmp_path / "bins")) == ["000000000000.bin", "000000000001.bin", "manifest.json"]


@pytest.mark.parametrize("workers", [1, 2])
def test_a_bad_image_leaves_nothing_behind(tmp_path: Path, images: Path, spec: DetectorSpec, workers: int):
    bad = images / "000000000004.jpg"
    bad.write_bytes(bad.read_bytes()[:-300])
    with pytest.raises(DataError, match=r"000000000004\.jpg: truncated JPEG"):
        preprocess_folder(images, tmp_path / "bins", spec, workers=workers)
    assert not (tmp_path / "bins").exists()


def test_a_bad_folder_of_images_does_not_touch_the_bins(tmp_path: Path, images: Path, spec: DetectorSpec):
    preprocess_folder(images, tmp_path / "bins", spec, workers=1)
    before = digests(tmp_path / "bins")
    with pytest.raises(DataError, match="cannot read the image folder"):
        preprocess_folder(tmp_path / "none", tmp_path / "bins", spec, workers=1)
    assert digests(tmp_path / "bins") == before


def test_a_disk_that_fails_leaves_nothing_behind(
    tmp_path: Path, images: Path, spec: DetectorSpec, monkeypatch: pytest.MonkeyPatch
):
    import os

    written = []

    def replace(source: Path, target: Path) -> None:
        if len(written) == 3:
            raise OSError(28, os.strerror(28))
        written.extend([target] if Path(target).suffix == ".bin" else [])
        Path(source).rename(target)

    monkeypatch.setattr(os, "replace", replace)
    with pytest.raises(ArtifactError, match=r"cannot write .*3\.bin: No space left on device; free some space"):
        preprocess_folder(images, tmp_path / "bins", spec, workers=1)
    assert not (tmp_path / "bins").exists()


def test_real_photographs_get_the_names_of_the_guide(tmp_path: Path, photographs: Path, spec: DetectorSpec):
    manifest = preprocess_folder(photographs / "val2017", tmp_path / "bins", spec, limit=3)[""]
    assert [image.stem for image in manifest.images] == sorted(p.stem for p in (photographs / "val2017").iterdir())[:3]
    assert {np.prod(spec.input.shape) * 4} == {path.stat().st_size for path in (tmp_path / "bins").glob("*.bin")}


def test_bins_of_bytes_are_a_quarter_as_long(tmp_path: Path, images: Path, spec: DetectorSpec):
    in_bytes = replace(spec, image={**spec.image.model_dump(), "dtype": "uint8"})
    manifest = preprocess_folder(images, tmp_path / "bins", in_bytes, workers=1)[""]
    for image in manifest.images:
        pixels, _ = to_input(read_image(images / image.file_name), in_bytes)
        assert (tmp_path / "bins" / f"{image.stem}.bin").read_bytes() == pixels.tobytes()
    assert {path.stat().st_size for path in (tmp_path / "bins").glob("*.bin")} == {spec.input.num_bytes // 4}


@pytest.fixture
def both(spec: DetectorSpec) -> DetectorSpec:
    """Landscape and portrait: three of the pictures lie on each."""
    return replace(spec, atc={"image_sizes": [[32, 48], [48, 32]]})


def names(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize("workers", [1, 2])
def test_several_canvases_get_a_folder_each(tmp_path: Path, images: Path, both: DetectorSpec, workers: int):
    manifests = preprocess_folder(images, tmp_path / "bins", both, workers=workers)
    assert read_manifests(tmp_path / "bins") == manifests
    assert {name: [image.stem[-1] for image in each.images] for name, each in manifests.items()} == {
        "32x48": ["0", "1", "2"],
        "48x32": ["3", "4", "5"],
    }
    for name, manifest in manifests.items():
        alone = replace(both, atc={}).with_canvas(manifest.spec.canvas)
        for image in manifest.images:
            tensor, box = to_input(read_image(images / image.file_name), alone)
            assert (tmp_path / "bins" / name / f"{image.stem}.bin").read_bytes() == tensor.tobytes()
            assert image.letterbox(manifest.spec.canvas) == box
    assert len(names(tmp_path / "bins")) == 6 + 3


def test_a_canvas_without_images_has_no_folder(tmp_path: Path, images: Path, both: DetectorSpec):
    preprocess_folder(images, tmp_path / "bins", both, workers=1, limit=2)
    assert sorted(path.name for path in (tmp_path / "bins").iterdir()) == ["32x48", "manifest.json"]


def test_runs_of_one_and_of_several_canvases_replace_each_other(
    tmp_path: Path, images: Path, spec: DetectorSpec, both: DetectorSpec
):
    bins, seen = tmp_path / "bins", []
    for each in (spec, both, spec, both):
        preprocess_folder(images, bins, each, workers=1)
        seen.append(names(bins))
    assert seen[0] == seen[2]
    assert seen[1] == seen[3]
    assert sorted(path.name for path in bins.iterdir()) == ["32x48", "48x32", "manifest.json"]


def test_the_folder_of_a_canvas_that_was_removed_is_made_again(tmp_path: Path, images: Path, both: DetectorSpec):
    bins = tmp_path / "bins"
    preprocess_folder(images, bins, both, workers=1)
    before = names(bins)
    shutil.rmtree(bins / "48x32")
    preprocess_folder(images, bins, both, workers=1)
    assert names(bins) == before


def test_disk_space_is_reckoned_for_the_largest_canvas(spec: DetectorSpec):
    assert max_num_bytes(replace(spec, atc={"image_sizes": [list(spec.canvas), [64, 96]]})) == 4 * 3 * 64 * 96


def test_a_bad_image_leaves_nothing_behind_on_any_canvas(tmp_path: Path, images: Path, both: DetectorSpec):
    preprocess_folder(images, tmp_path / "bins", both, workers=1)
    bad = images / "000000000004.jpg"
    bad.write_bytes(bad.read_bytes()[:-300])
    with pytest.raises(DataError, match=r"000000000004\.jpg: truncated JPEG"):
        preprocess_folder(images, tmp_path / "bins", both, workers=1)
    assert list((tmp_path / "bins").iterdir()) == []


@pytest.mark.parametrize("name", ["x.bin", "48x32/x.bin"])
def test_foreign_bins_beside_or_in_the_folder_of_a_canvas_are_refused(
    tmp_path: Path, images: Path, both: DetectorSpec, name: str
):
    (tmp_path / "bins" / "48x32").mkdir(parents=True)
    (tmp_path / "bins" / name).touch()
    with pytest.raises(ArtifactError, match=rf"holds {name}, which this run did not make"):
        preprocess_folder(images, tmp_path / "bins", both, workers=1)
