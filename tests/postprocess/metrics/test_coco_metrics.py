import contextlib
import io
import json
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from detector.errors import DataError
from postprocess.coco_files import Annotations, read_annotations, read_detections
from postprocess.metrics import match_annotations
from postprocess.metrics.coco_metrics import FIGURES, Metrics, evaluate
from postprocess.rows.annotation_rows import AnnotatedImage
from postprocess.rows.columns import Detection, Objects

NAMES = [figure.name for figure in FIGURES]


def oracle(
    annotations: Annotations,
    detections: list[Detection],
    image_ids: set[int] | None = None,
    category_ids: set[int] | None = None,
    limits: tuple[int, ...] = (1, 10, 100),
) -> tuple[list[float], list[float]]:
    """The 12 figures and the AP per category by id, from pycocotools; fractions, -1 where undefined."""
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    def indexed(rows: list[dict]) -> COCO:
        coco = COCO()
        coco.dataset = {
            "images": [{"id": i} for i in annotations.images],
            "categories": [{"id": i} for i in annotations.categories],
            "annotations": rows,
        }
        coco.createIndex()
        return coco

    with contextlib.redirect_stdout(io.StringIO()):
        truth = indexed([dict(item) for item in annotations.objects])
        area = [row["bbox"][2] * row["bbox"][3] for row in detections]
        found = indexed(
            [
                {**row, "id": i, "area": a, "iscrowd": 0}
                for i, (row, a) in enumerate(zip(detections, area, strict=True), start=1)
            ]
        )
        evaluator = COCOeval(truth, found, "bbox")
        if image_ids is not None:
            evaluator.params.imgIds = sorted(image_ids)
        if category_ids is not None:
            evaluator.params.catIds = sorted(category_ids)
        evaluator.params.maxDets = list(limits)
        evaluator.evaluate()
        evaluator.accumulate()
        evaluator.summarize()
    precision = evaluator.eval["precision"]
    per_class = [precision[:, :, k, 0, -1] for k in range(precision.shape[2])]
    return list(evaluator.stats), [float(p[p > -1].mean()) if (p > -1).any() else -1.0 for p in per_class]


def assert_equals_oracle(metrics: Metrics, expected: tuple[list[float], list[float]]) -> None:
    def fractions(values: list[float | None]) -> list[float]:
        return [-1.0 if value is None else value / 100 for value in values]

    figures, classes = expected
    np.testing.assert_allclose(fractions([metrics.figures[name] for name in NAMES]), figures, rtol=0, atol=1e-12)
    np.testing.assert_allclose(fractions([item.ap for item in metrics.classes]), classes, rtol=0, atol=1e-12)


def data_set(
    seed: int, *, images: int = 6, classes: int = 4, per_image: int = 6
) -> tuple[Annotations, list[Detection]]:
    """Random objects of all sizes (some crowds, one image without any) and jittered detections with tied scores."""
    random = np.random.default_rng(seed)
    objects, detections = [], []
    for image_id in range(1, images):
        for _ in range(random.integers(1, per_image)):
            x, y, width, height = (*random.uniform(0, 200, 2), *random.choice([8.0, 20.0, 60.0, 150.0], 2))
            category = int(random.integers(1, classes + 1)) * 10
            objects.append(
                {
                    "id": len(objects) + 1,
                    "image_id": image_id,
                    "category_id": category,
                    "bbox": [x, y, width, height],
                    "area": width * height * random.uniform(0.5, 1),
                    "iscrowd": int(random.random() < 0.15),
                }
            )
            for _ in range(random.integers(0, 4)):
                wrong = random.random() < 0.2  # another class than the object's
                dx, dy, dw, dh = random.normal(0, 0.1, 4) * [width, height, width, height]
                detections.append(
                    {
                        "image_id": image_id,
                        "category_id": int(random.integers(1, classes + 1)) * 10 if wrong else category,
                        "bbox": [x + dx, y + dy, abs(width + dw), abs(height + dh)],
                        "score": float(random.choice([0.1, 0.3, 0.5, 0.9])),  # many ties
                    }
                )
    return annotations(images, classes, objects), detections


def annotations(images: int, classes: int, objects: list) -> Annotations:
    named = {i: AnnotatedImage(i, f"{i}.jpg", None) for i in range(1, images + 1)}
    return Annotations("gt.json", named, {i * 10: f"c{i}" for i in range(1, classes + 1)}, objects)


@pytest.mark.parametrize("seed", range(12))
def test_random_sets_equal_pycocotools(seed: int):
    truth, detections = data_set(seed)
    assert_equals_oracle(evaluate(truth, detections), oracle(truth, detections))


# Timestamps and hashes have 17 and 19 digits: neighbours that a float does not tell apart, and texts.
IDS = {
    "17 digits": lambda i: 20248552714150400 + i,
    "19 digits": lambda i: 9123456789012345600 + (i * 7) % 10,
    "beyond 64 bits": lambda i: 2**64 + i,
    "texts": lambda i: f"img_{(i * 7) % 10}",
    "digits": lambda i: str(8 + i),
}


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("kind", IDS)
def test_ids_of_any_size_and_texts_equal_pycocotools(kind: str, seed: int):
    truth, detections = data_set(seed)
    of_image, of_category = IDS[kind], IDS[list(IDS)[seed]]

    def renamed(rows: Iterable[Any]) -> list[Any]:
        return [
            {**row, "image_id": of_image(row["image_id"]), "category_id": of_category(row["category_id"] // 10)}
            for row in rows
        ]

    images = {of_image(i): AnnotatedImage(of_image(i), None, None) for i in truth.images}
    categories = {of_category(i // 10): name for i, name in truth.categories.items()}
    truth = Annotations("gt.json", images, categories, renamed(truth.objects))
    detections = renamed(detections)
    assert_equals_oracle(evaluate(truth, detections), oracle(truth, detections))


@pytest.mark.parametrize("seed", range(8))
def test_the_figures_of_tools_that_cannot_find_the_id_zero(seed: int):
    truth, detections = data_set(seed)
    objects = Objects.of(truth.objects)
    zero = seed % len(objects)
    truth = replace(truth, objects=replace(objects, zero=zero))
    metrics = evaluate(truth, detections)
    assert metrics.pycocotools is not None
    genuine = [{**item, "id": 0 if n == zero else item["id"]} for n, item in enumerate(truth.objects)]
    expected, _ = oracle(replace(truth, objects=genuine), detections)
    got = [-1.0 if metrics.pycocotools[name] is None else metrics.pycocotools[name] / 100 for name in NAMES]
    np.testing.assert_allclose(got, expected, rtol=0, atol=1e-12)
    assert_equals_oracle(metrics, oracle(replace(truth, objects=list(objects)), detections))


def test_an_object_with_id_zero_that_is_not_scored_changes_nothing():
    truth, detections = data_set(0)
    objects = replace(Objects.of(truth.objects), zero=0)
    other = {image for image in truth.images if image != objects[0]["image_id"]}
    assert evaluate(replace(truth, objects=objects), detections, image_ids=other).pycocotools is None


@pytest.mark.parametrize("limits", [(100, 300, 1000), (1, 10, 100), (1, 5, 20), (10, 50, 200)])
def test_other_limits_equal_pycocotools(limits: tuple[int, int, int]):
    truth, detections = data_set(4, images=3, classes=1)
    random = np.random.default_rng(4)
    many = [{**detections[0], "bbox": random.uniform(1, 200, 4).tolist(), "score": s} for s in random.random(350)]
    metrics = evaluate(truth, many + detections, limits=limits)
    expected, _ = oracle(truth, many + detections, limits=limits)
    got = [-1.0 if value is None else value / 100 for value in metrics.figures.values()]
    # Without 100 among the limits COCO's summary has no AP: ours takes the largest limit, as for AP50.
    np.testing.assert_allclose(got[100 not in limits :], expected[100 not in limits :], rtol=0, atol=1e-12)
    assert metrics.cut == max(350 + sum(row["image_id"] == 1 for row in detections) - limits[-1], 0)
    assert list(metrics.figures)[6:9] == [f"AR{limit}" for limit in limits]


def test_limits_beyond_the_detections_cost_nothing():
    truth, detections = data_set(3)
    limits = (1, 10**9, 2**31 - 1)
    metrics, few = evaluate(truth, detections, limits=limits), evaluate(truth, detections, limits=(1, 500, 1000))
    assert [*metrics.figures.values()] == [*few.figures.values()]
    assert (metrics.limits, metrics.cut, "AR1000000000" in metrics.figures) == (limits, 0, True)
    assert evaluate(truth, [], limits=limits).figures["AP"] == 0


def test_images_with_more_objects_than_count_are_counted():
    truth, detections = data_set(0)
    assert evaluate(truth, detections, limits=(1, 2, 3)).crowded == sum(
        sum(item["image_id"] == image and not item["iscrowd"] for item in truth.objects) > 3 for image in truth.images
    )
    assert evaluate(truth, detections).crowded == 0


def test_no_detections():
    truth, _ = data_set(0)
    metrics = evaluate(truth, [])
    assert_equals_oracle(metrics, oracle(truth, []))
    assert metrics.figures["AP"] == 0


def test_no_truth_is_undefined_not_zero():
    _, detections = data_set(0)
    truth = annotations(6, 4, [])
    metrics = evaluate(truth, detections)
    assert_equals_oracle(metrics, oracle(truth, detections))
    assert set(metrics.figures.values()) == {None}
    assert {item.ap for item in metrics.classes} == {None}


def test_neither_truth_nor_detections():
    assert set(evaluate(annotations(1, 1, []), []).figures.values()) == {None}


def test_only_crowds_are_undefined():
    truth, detections = data_set(1)
    truth = annotations(6, 4, [{**item, "iscrowd": 1} for item in truth.objects])
    assert_equals_oracle(evaluate(truth, detections), oracle(truth, detections))


def test_only_wrong_labels_score_nothing():
    truth, detections = data_set(2, classes=2)
    other = [{**row, "category_id": 30 - row["category_id"]} for row in detections]
    assert_equals_oracle(evaluate(truth, other), oracle(truth, other))


def test_only_one_size_leaves_the_others_undefined():
    truth, detections = data_set(3)
    truth = annotations(6, 4, [{**item, "area": 100.0} for item in truth.objects])
    metrics = evaluate(truth, detections)
    assert_equals_oracle(metrics, oracle(truth, detections))
    assert metrics.figures["APl"] is None


def test_more_than_a_hundred_detections_per_image():
    truth, detections = data_set(4, images=3, classes=1)
    random = np.random.default_rng(4)
    many = [{**detections[0], "bbox": random.uniform(1, 200, 4).tolist(), "score": s} for s in random.random(150)]
    assert_equals_oracle(evaluate(truth, many + detections), oracle(truth, many + detections))


def test_all_scores_tied():
    truth, detections = data_set(5)
    tied = [{**row, "score": 0.5} for row in detections]
    assert_equals_oracle(evaluate(truth, tied), oracle(truth, tied))


def test_boxes_and_objects_without_area():
    truth, detections = data_set(6)
    truth = annotations(6, 4, [{**item, "bbox": [5.0, 5.0, 0.0, 9.0], "area": 0.0} for item in truth.objects[:3]])
    flat = [{**row, "bbox": [5.0, 5.0, 0.0, 9.0]} for row in detections]
    assert_equals_oracle(evaluate(truth, flat), oracle(truth, flat))


def test_chosen_images_and_categories():
    truth, detections = data_set(7)
    images, categories = {2, 4}, {10, 30}
    metrics = evaluate(truth, detections, image_ids=images, category_ids=categories)
    assert_equals_oracle(metrics, oracle(truth, detections, images, categories))
    assert metrics.images == 2
    assert [item.category_id for item in metrics.classes] == [10, 30]


def test_the_order_of_images_does_not_matter():
    truth, detections = data_set(8)
    detections = [{**row, "score": i / 100} for i, row in enumerate(detections)]
    assert evaluate(truth, detections[::-1]) == evaluate(truth, detections)


def test_what_is_given_is_left_as_it_was():
    truth, detections = data_set(9)
    before = json.dumps([list(truth.objects), detections])
    evaluate(truth, detections)
    assert json.dumps([list(truth.objects), detections]) == before


def test_nothing_is_printed_or_logged(capfd: pytest.CaptureFixture, caplog: pytest.LogCaptureFixture):
    with caplog.at_level("INFO"):
        evaluate(*data_set(0))
    assert capfd.readouterr() == ("", "")
    assert not caplog.records


def test_objects_are_counted_without_crowds():
    truth, detections = data_set(10)
    metrics = evaluate(truth, detections)
    plain = [item for item in truth.objects if not item["iscrowd"]]
    assert metrics.objects == len(plain) == sum(item.objects for item in metrics.classes)


@pytest.mark.parametrize(
    ("chosen", "message"),
    [
        ({"image_ids": {99}}, "image id 99 is to be scored but is not"),
        ({"category_ids": {99}}, "category id 99 is to be scored but is not"),
        ({"image_ids": set()}, "nothing to score"),
    ],
)
def test_a_choice_outside_the_truth_is_refused(chosen: dict[str, set[int]], message: str):
    with pytest.raises(DataError, match=message):
        evaluate(*data_set(0), **chosen)


def test_a_detection_of_an_unknown_image_is_refused():
    truth, detections = data_set(0)
    with pytest.raises(DataError, match="detections: row 0 has image_id 99"):
        evaluate(truth, [{**detections[0], "image_id": 99}])


def test_an_object_with_id_zero_can_be_found(tmp_path: Path):
    """pycocotools takes a match with id 0 for no match; reading renumbers, so the figure is right."""
    box = [10.0, 10.0, 50.0, 50.0]
    document = {
        "images": [{"id": 1}],
        "categories": [{"id": 1, "name": "x"}],
        "annotations": [{"id": 0, "image_id": 1, "category_id": 1, "bbox": box}],
    }
    path = tmp_path / "gt.json"
    path.write_text(json.dumps(document))
    found: list[Detection] = [{"image_id": 1, "category_id": 1, "bbox": box, "score": 0.5}]
    assert evaluate(read_annotations(path), found).figures["AP"] == pytest.approx(100)


def test_objects_as_coco_has_them_equal_pycocotools(coco_boxes: Path, coco_detections: Path):
    truth, detections = read_annotations(coco_boxes), read_detections(coco_detections)
    metrics = evaluate(truth, detections)
    assert len({metrics.figures[name] for name in NAMES}) == len(NAMES), "two figures are equal: which is which?"
    assert_equals_oracle(metrics, oracle(truth, detections))


@pytest.mark.big
def test_the_published_figures_of_the_coco_team(evaluator_check: Path):
    truth = read_annotations(evaluator_check / "instances_val2014_100.json")
    detections = read_detections(evaluator_check / "instances_val2014_fakebbox100_results.json")
    metrics = evaluate(truth, detections)
    # val2014_fake_eval_res.txt, type=bbox
    published = [0.505, 0.697, 0.573, 0.586, 0.519, 0.501, 0.387, 0.594, 0.595, 0.640, 0.566, 0.564]
    assert [round((metrics.figures[name] or 0) / 100, 3) for name in NAMES] == published
    assert_equals_oracle(metrics, oracle(truth, detections))


def test_many_rows_are_taken_in_shares(monkeypatch: pytest.MonkeyPatch):
    truth, detections = data_set(3, images=12)
    whole = evaluate(truth, detections)
    monkeypatch.setattr(match_annotations, "ROWS_AT_ONCE", 5)
    assert evaluate(truth, detections) == whole
