import pytest

from convert.freeze import freeze
from convert.lint.check import lint
from convert.lint.gears import Gears
from convert.lower import lower
from detector.geometry import Size


@pytest.fixture
def lowered(canonical):
    return lower(freeze(canonical, batch_size=2, canvas=Size(64, 96)))


@pytest.fixture
def open_batch(lowered):
    lowered.graph.input[0].type.tensor_type.shape.dim[0].dim_param = "batch"
    return lowered


@pytest.fixture
def open_size(lowered):
    for index in (2, 3):
        lowered.graph.input[0].type.tensor_type.shape.dim[index].dim_param = f"side{index}"
    return lowered


def of_gears(report):
    return [finding.cause for finding in report.findings if finding.rule in {"gears", "dynamic-input"}]


def test_gears_that_fit_are_no_problem(open_batch):
    assert of_gears(lint(open_batch, gears=Gears(dynamic_batch_size="1,2,4"))) == []


def test_sizes_that_fit_are_no_problem(open_size):
    assert of_gears(lint(open_size, gears=Gears(dynamic_image_size="64,96;96,64"))) == []


@pytest.mark.parametrize(
    ("gears", "match"),
    [
        (Gears(dynamic_batch_size="2"), "has 1 gears"),
        (Gears(dynamic_batch_size=",".join(map(str, range(1, 102)))), "has 101 gears"),
        (Gears(dynamic_batch_size="1,2,2"), "listed twice"),
        (Gears(dynamic_batch_size="0,2"), "sizes are positive"),
        (Gears(dynamic_batch_size="one,2"), "expected positive whole numbers"),
        (Gears(dynamic_image_size="64,96;96,64"), "exactly height and width"),
        (Gears(dynamic_dims="1,64,96;2,64,96"), "has 3 sizes, 1 are -1"),
        (Gears(dynamic_batch_size="1,2", dynamic_dims="1;2"), "exclude each other"),
    ],
)
def test_gears_that_break_a_rule_are_named(open_batch, gears, match):
    assert any(match in cause for cause in of_gears(lint(open_batch, gears=gears)))


def test_gears_without_an_open_dimension_are_named(lowered):
    (cause,) = of_gears(lint(lowered, gears=Gears(dynamic_batch_size="1,2")))
    assert "no -1" in cause


def test_the_memory_is_that_of_the_largest_gear(open_batch):
    small = lint(open_batch, gears=Gears(dynamic_batch_size="1,2")).memory_bytes
    large = lint(open_batch, gears=Gears(dynamic_batch_size="1,8")).memory_bytes
    assert large > 3 * small
