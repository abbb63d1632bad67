"""The scripts behind the claims: they refuse to time two things that do not do the same."""

import functools
import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from benchmarks import eval_vs_pycocotools, preprocess_vs_published
from detector.errors import AccuracyError


@pytest.fixture
def images(tmp_path: Path) -> Path:
    (tmp_path / "images").mkdir()
    for index, size in enumerate([(40, 60), (60, 40)]):
        picture = np.random.default_rng(index).integers(0, 256, (*size, 3), np.uint8)
        cv2.imwrite(str(tmp_path / "images" / f"{index}.png"), picture)
    return tmp_path / "images"


def test_preprocessing_is_compared_byte_for_byte(images: Path, tmp_path: Path, capsys: pytest.CaptureFixture):
    preprocess_vs_published.main(["--image_src_path", str(images), "--rounds", "1", "--work", str(tmp_path)])
    lines = capsys.readouterr().out.splitlines()
    last = json.loads(lines[-1])
    assert last["images"] == 2
    assert last["seconds"].keys() == preprocess_vs_published.SIDES.keys()
    assert last["ratio"] == pytest.approx(last["seconds"]["published"] / last["seconds"]["ours"])
    assert [path.name for path in tmp_path.iterdir()] == ["images"]


def test_preprocessing_of_other_bytes_is_not_timed(images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    recipe = preprocess_vs_published.published_recipe
    monkeypatch.setattr(
        preprocess_vs_published, "SIDES", {"published": recipe, "ours": functools.partial(other, recipe)}
    )
    with pytest.raises(AccuracyError, match=r"the bins of 'ours' are not the bytes of the published recipe"):
        preprocess_vs_published.compare(images, tmp_path, rounds=1)


def other(recipe, images: Path, bins: Path) -> None:
    recipe(images, bins)
    (bins / "0.bin").write_bytes(b"x")


def test_the_evaluations_give_the_same_figures(capsys: pytest.CaptureFixture):
    eval_vs_pycocotools.main(["--images", "12", "--rounds", "1"])
    lines = capsys.readouterr().out.splitlines()
    assert any(line.startswith("12 figures identical: AP ") for line in lines)
    assert json.loads(lines[-1])["images"] == 12


def test_another_figure_is_named():
    with pytest.raises(AccuracyError, match=r"AP50 is 0\.5, pycocotools says 0\.6"):
        eval_vs_pycocotools.require_same_figures([0.1, 0.6] * 6, [0.1, 0.5] * 6)


def test_the_synthetic_set_does_not_change():
    truth = eval_vs_pycocotools.synthetic_truth(5)
    assert truth == eval_vs_pycocotools.synthetic_truth(5)
    rows = eval_vs_pycocotools.synthetic_detections(truth)
    assert rows == eval_vs_pycocotools.synthetic_detections(truth)
    assert {row["image_id"] for row in rows} == {item["image_id"] for item in truth["annotations"]}
