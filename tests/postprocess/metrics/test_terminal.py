from postprocess.coco_files import AnnotatedImage, Annotations
from postprocess.metrics.coco_metrics import FIGURES, ClassMetrics, Metrics
from postprocess.metrics.evaluation import Evaluation
from postprocess.metrics.terminal import figure_line, to_text

# The lines of pycocotools, which scripts look for.
COCO_LINES = """\
Average Precision  (AP) @[ IoU=0.50:0.95 | area=   all | maxDets=100 ] = 0.505
Average Precision  (AP) @[ IoU=0.50      | area=   all | maxDets=100 ] = 0.505
Average Precision  (AP) @[ IoU=0.75      | area=   all | maxDets=100 ] = 0.505
Average Precision  (AP) @[ IoU=0.50:0.95 | area= small | maxDets=100 ] = 0.505
Average Precision  (AP) @[ IoU=0.50:0.95 | area=medium | maxDets=100 ] = 0.505
Average Precision  (AP) @[ IoU=0.50:0.95 | area= large | maxDets=100 ] = 0.505
Average Recall     (AR) @[ IoU=0.50:0.95 | area=   all | maxDets=  1 ] = 0.505
Average Recall     (AR) @[ IoU=0.50:0.95 | area=   all | maxDets= 10 ] = 0.505
Average Recall     (AR) @[ IoU=0.50:0.95 | area=   all | maxDets=100 ] = 0.505
Average Recall     (AR) @[ IoU=0.50:0.95 | area= small | maxDets=100 ] = 0.505
Average Recall     (AR) @[ IoU=0.50:0.95 | area=medium | maxDets=100 ] = 0.505
Average Recall     (AR) @[ IoU=0.50:0.95 | area= large | maxDets=100 ] = 0.505
"""


def text(classes: list[ClassMetrics], **options: bool) -> str:
    metrics = Metrics({figure.name: 50.46 for figure in FIGURES}, tuple(classes), images=1, objects=2, detections=3)
    truth = Annotations(
        "gt.json", {1: AnnotatedImage(1, None, None)}, {item.category_id: item.name for item in classes}, []
    )
    return to_text(Evaluation(metrics, truth, None), **options)


def some(count: int) -> list[ClassMetrics]:
    return [ClassMetrics(i, f"class{i}", float(i), float(i), 1) for i in range(count)]


def test_every_line_ends_as_pycocotools_prints_it():
    lines = [figure_line(figure, 50.46) for figure in FIGURES]
    assert [line[14:] for line in lines] == COCO_LINES.splitlines()


def test_a_line_begins_with_our_name_and_the_percentage():
    assert figure_line(FIGURES[0], 50.458).startswith("AP     50.46  Average Precision")
    assert figure_line(FIGURES[8], 100.0).startswith("AR100 100.00  Average Recall")


def test_undefined_is_a_dash_and_minus_one():
    line = figure_line(FIGURES[5], None)
    assert line.startswith("APl        -  Average")
    assert line.endswith("= -1.000")


def test_classes_come_best_first_and_empty_ones_are_counted():
    classes = [
        ClassMetrics(1, "low", 10.0, 20.0, 4),
        ClassMetrics(2, "none", None, None, 0),
        ClassMetrics(3, "top", 90.0, 95.0, 1),
    ]
    lines = text(classes).splitlines()
    assert lines[0].split() == ["class", "AP", "AP50", "objects"]
    assert lines[1].split() == ["top", "90.00", "95.00", "1"]
    assert lines[2].split() == ["low", "10.00", "20.00", "4"]
    assert lines[3] == "(1 more classes have no annotated object)"


def test_many_classes_run_in_columns():
    lines = text(some(8)).splitlines()
    assert lines[0].count("class ") == 3
    assert [row.count("class") for row in lines[1:4]] == [3, 3, 2]


def test_more_than_a_hundred_classes_are_left_out_unless_asked_for():
    assert "101 classes: see metrics.json" in text(some(101))
    assert "class77" not in text(some(101))
    assert "class77" in text(some(101), all_classes=True)


def test_no_class_with_objects():
    assert "no class has an annotated object" in text([ClassMetrics(1, "a", None, None, 0)])
