"""One model for both orientations: every image on the canvas where it is larger, with the detections of that canvas."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnx
import pytest

from convert.build import convert as convert_plan
from convert.conversion_plan import plan_conversion
from detector.errors import ArtifactError, SpecError
from detector.onnx_files.read_write import write_onnx
from detector.spec_files import load_spec
from infer.__main__ import main
from preprocess.folder import preprocess_folder
from tests.pipeline.test_stream import metrics, over_bins, run

CANVASES = [[64, 96], [96, 64]]
DIMS = [[1, 64, 96], [3, 64, 96], [2, 96, 64]]

Gear = Callable[..., Path]


@pytest.fixture
def gear(canonical: onnx.ModelProto, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Gear:
    """The stand-in of an OM with gears, or of one canvas alone."""
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    write_onnx(tmp_path / "tiny.onnx", canonical)

    def made(name: str, batch_size: int | None, **options: Any) -> Path:
        output = tmp_path / name
        plan = plan_conversion(tmp_path / "tiny.onnx", batch_size=batch_size, output=output, **options)
        return convert_plan(plan).model

    return made


def detections(folder: Path) -> dict[int, list[Any]]:
    """Rows by image."""
    found: dict[int, list[Any]] = {}
    for row in json.loads((folder / "detections.json").read_text()):
        found.setdefault(row["image_id"], []).append(row)
    return found


@pytest.mark.parametrize(
    ("batch_size", "options"),
    [
        (1, {"image_sizes": CANVASES}),
        (2, {"image_sizes": CANVASES}),
        (4, {"image_sizes": CANVASES}),
        (None, {"dims": DIMS}),
    ],
)
def test_streaming_and_the_route_over_bins_agree(
    tmp_path: Path, coco: Path, gear: Gear, batch_size: int | None, options: dict[str, Any]
):
    model = gear("both", batch_size, options=options)
    expected = over_bins(model, coco, tmp_path / "stages")
    evaluation = run(model, coco, tmp_path / "out", workers=2)
    assert (tmp_path / "out" / "detections.json").read_bytes() == (expected / "detections.json").read_bytes()
    assert metrics(tmp_path / "out") == metrics(expected)
    assert evaluation.metrics.images == 5


def test_every_image_has_the_detections_of_its_canvas_alone(tmp_path: Path, coco: Path, gear: Gear):
    both = detections(over_bins(gear("both", 2, options={"image_sizes": CANVASES}), coco, tmp_path / "both"))
    alone = {}
    for height, width in CANVASES:
        model = gear(f"on{height}", 2, canvas=(height, width))
        alone[height, width] = detections(over_bins(model, coco, tmp_path / f"on{height}"))
    portrait = {98, 95}  # images of 90 x 60 and 200 x 120 pixels
    assert set(both) == set(range(95, 100))
    for image_id, rows in both.items():
        right, wrong = CANVASES[::-1] if image_id in portrait else CANVASES
        assert rows == alone[tuple(right)][image_id]
        assert rows != alone[tuple(wrong)][image_id]


def test_batch_gears_are_streamed_in_their_largest_batch(tmp_path: Path, coco: Path, gear: Gear):
    model = gear("batches", (1, 2, 4))
    expected = over_bins(model, coco, tmp_path / "stages")
    run(model, coco, tmp_path / "out")
    assert (tmp_path / "out" / "detections.json").read_bytes() == (expected / "detections.json").read_bytes()


def test_a_canvas_without_its_folder_is_told_before_anything_runs(tmp_path: Path, coco: Path, gear: Gear):
    model = gear("both", 2, options={"image_sizes": CANVASES})
    preprocess_folder(coco / "val2017", tmp_path / "bins", load_spec(model), workers=1)
    shutil.rmtree(tmp_path / "bins" / "96x64")
    argv = ["--model", str(model), "--input", str(tmp_path / "bins"), "--output", str(tmp_path / "out")]
    with pytest.raises(ArtifactError, match=r"96x64 not found: preprocessing did not"):
        main(argv)
    assert not (tmp_path / "out").exists()


def test_a_model_without_a_spec_does_not_take_turned_canvases_for_its_own(tmp_path: Path, coco: Path, gear: Gear):
    preprocess_folder(
        coco / "val2017", tmp_path / "bins", load_spec(gear("both", 2, options={"image_sizes": CANVASES})), workers=1
    )
    model = gear("one", 2)
    bare = onnx.load(model)
    bare.ClearField("metadata_props")
    onnx.save(bare, model)
    with pytest.raises(SpecError, match=r"carries no spec that tells its gears.*--input .*64x96, and its gear"):
        main(["--model", str(model), "--input", str(tmp_path / "bins")])


def test_paths_of_the_last_canvas_are_looked_at_before_the_first_one_runs(tmp_path: Path, coco: Path, gear: Gear):
    model = gear("both", 2, options={"image_sizes": CANVASES})
    preprocess_folder(coco / "val2017", tmp_path / "bins", load_spec(model), workers=1)
    (tmp_path / "bins" / "96x64" / "manifest.json").chmod(0o666)
    argv = ["--model", str(model), "--input", str(tmp_path / "bins"), "--output", str(tmp_path / "out")]
    with pytest.raises(ArtifactError, match=r"96x64/manifest\.json has mode 0666"):
        main([*argv, "--strict_paths", "1"])
    assert not (tmp_path / "out").exists()


def test_a_model_of_one_canvas_refuses_bins_of_several_before_it_runs(tmp_path: Path, coco: Path, gear: Gear):
    preprocess_folder(
        coco / "val2017", tmp_path / "bins", load_spec(gear("both", 2, options={"image_sizes": CANVASES})), workers=1
    )
    model = gear("one", 2)
    argv = ["--model", str(model), "--input", str(tmp_path / "bins"), "--output", str(tmp_path / "out")]
    with pytest.raises(SpecError, match=r"96x64 holds bins of another spec than .*canvas is \(96, 64\) in the bins"):
        main(argv)
    assert not (tmp_path / "out").exists()
