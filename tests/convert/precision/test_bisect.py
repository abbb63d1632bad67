import pytest

from convert.conversion_plan import plan_conversion
from convert.precision.agreement import loss
from convert.precision.bisect import bisect
from convert.precision.files import read_keep, write_keep
from convert.precision.modes import Keep, Rules
from convert.precision.simulate import card_graph, stand_in
from convert.product_graphs import frozen_graph
from detector.errors import AccuracyError, SpecError
from tests.conftest import run_onnx
from tests.convert.precision import planted

IMAGES = planted.bright_cells()


def trial(model, folder):
    """The card's graph, and the loss of one of its simulations on two images of noise."""
    plan = plan_conversion(planted.written(model, folder), batch_size=2, target="cpu", output=folder / "t")

    def detections(graph):
        found = run_onnx(graph, IMAGES)
        return list(zip(found["labels"], found["dets"], strict=True))

    frozen = frozen_graph(plan)
    wanted = detections(stand_in(plan, frozen))
    assert sum((labels >= 0).sum() for labels, _ in wanted) > 10
    return card_graph(plan, frozen), lambda graph: loss(detections(graph), wanted)


def test_a_graph_that_float16_is_enough_for_keeps_nothing(canonical, tmp_path):
    card, measure = trial(canonical, tmp_path)
    found = bisect(card, Rules(), measure, accept=1.0, runs=20)
    assert (found.names, found.runs) == ((), 1)


@pytest.mark.parametrize(
    ("plant", "names"),
    [
        (planted.scaled_after_convolution, ["planted.mul.large", "planted.mul.planted"]),
        (planted.convolution_that_overflows, ["planted.conv.larger", "planted.mul.planted"]),
        (planted.softplus, ["planted.exp.power", "planted.add.lifted", "planted.log.soft"]),
    ],
)
def test_a_planted_overflow_is_found_and_repaired_by_the_file(canonical, tmp_path, plant, names):
    card, measure = trial(plant(canonical), tmp_path)
    found = bisect(card, Rules(), measure, accept=1.0, runs=100)
    assert list(found.names) == names
    assert found.is_minimal
    assert found.loss_without > 3
    assert found.loss <= 1.0
    assert found.runs < 40
    write_keep(tmp_path / "keep.txt", found.names)
    assert (tmp_path / "keep.txt").read_text().splitlines() == names
    repaired = card.readings(Rules(keep=read_keep(tmp_path / "keep.txt")))
    assert max(measure(card.simulated(each)) for each in repaired) == found.loss


def test_the_worse_end_of_the_range_counts(canonical, tmp_path):
    card, measure = trial(planted.softplus(canonical), tmp_path)
    rules = Rules(keep=Keep(frozenset({"planted.exp.power", "planted.add.lifted", "planted.log.soft"})))
    losses = [measure(card.simulated(each)) for each in card.readings(rules)]
    assert losses[0] < max(losses)
    assert bisect(card, rules, measure, accept=100.0, runs=2).loss == max(losses)


def test_used_up_runs_give_the_best_so_far_and_say_so(canonical, tmp_path, caplog):
    card, measure = trial(planted.softplus(canonical), tmp_path)
    found = bisect(card, Rules(), measure, accept=1.0, runs=6)
    assert found.runs <= 6
    assert not found.is_minimal
    assert f"the 6 runs were used up: fewer than these {len(found.names)} nodes may do; give more --runs" in caplog.text
    assert {"planted.exp.power", "planted.add.lifted", "planted.log.soft"} <= set(found.names)
    assert found.loss <= 1.0


def test_what_the_matrix_unit_cannot_read_no_file_repairs(canonical, tmp_path):
    card, measure = trial(planted.convolution_of_what_overflowed(canonical), tmp_path)
    with pytest.raises(
        AccuracyError, match=r"no --keep_dtype file brings the loss down to 1: .* inputs for .*Conv; accept more"
    ):
        bisect(card, Rules(), measure, accept=1.0, runs=100)


def test_where_keeping_makes_it_worse_chance_is_named(canonical, tmp_path):
    card, _ = trial(canonical, tmp_path)
    losses = iter([2.0, 3.0])
    with pytest.raises(
        AccuracyError, match=r"2\.000 with none and 3\.000 .*makes it worse, so that chance is left: .*--images"
    ):
        bisect(card, Rules(), lambda _: next(losses), accept=1.0, runs=100)


def test_two_overflows_are_found_at_once(canonical, tmp_path):
    card, measure = trial(planted.two_overflows(canonical), tmp_path)
    found = bisect(card, Rules(), measure, accept=1.0, runs=100)
    assert list(found.names) == [
        "planted.exp.power", "planted.add.lifted", "planted.log.soft", "planted.mul.large", "planted.mul.planted",
    ]  # fmt: skip
    assert found.is_minimal


def test_a_mode_that_ignores_the_file_is_refused(canonical, tmp_path):
    card, measure = trial(canonical, tmp_path)
    with pytest.raises(SpecError, match="must_keep_origin_dtype ignores --keep_dtype"):
        bisect(card, Rules("must_keep_origin_dtype"), measure, accept=1.0, runs=100)


def test_what_is_kept_already_stays(canonical, tmp_path):
    card, measure = trial(planted.softplus(canonical), tmp_path)
    given = Rules(keep=Keep(frozenset({"planted.exp.power"}), frozenset({"Log"})))
    assert bisect(card, given, measure, accept=1.0, runs=100).names == ("planted.add.lifted",)
