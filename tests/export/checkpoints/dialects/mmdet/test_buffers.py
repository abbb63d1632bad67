"""Mean and divisor beside the weights: genuine mmdetection registers them as not persistent, and loads neither."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from detector.errors import CheckpointError
from export.checkpoints import read_weights
from export.checkpoints.weighing.recipe import Recipe

MEAN, STD = [102.9801, 115.9465, 122.7717], [1.0, 1.0, 1.0]


@pytest.fixture
def recipe_with(make_state: Callable[..., dict[str, torch.Tensor]], save: Callable[..., Path]):
    def of(mean: list[float], std: list[float], meta: dict[str, Any]) -> Recipe:
        state = make_state()
        for name, values in (("mean", mean), ("std", std)):
            state[f"data_preprocessor.{name}"] = torch.tensor(values).view(-1, 1, 1)
        return read_weights(save({"meta": meta, "state_dict": state}), {}).recipe

    return of


def test_those_of_the_config_are_no_news(recipe_with, config_text: str):
    recipe = recipe_with(MEAN, STD, {"cfg": config_text})
    assert (recipe.image["mean"], recipe.doubts) == (tuple(MEAN), {})


def test_where_the_config_says_otherwise_it_is_taken_and_that_is_said(recipe_with, config_text: str):
    recipe = recipe_with([120.0], STD, {"cfg": config_text})
    assert recipe.image["mean"] == tuple(MEAN)
    assert recipe.doubts == {
        "image.mean": (
            "data_preprocessor.mean among the tensors is [120.0, 120.0, 120.0], the config says "
            "[102.9801, 115.9465, 122.7717]: mmdetection does not load that tensor, so the config's is taken"
        )
    }


def test_without_a_config_they_are_what_is_known(recipe_with):
    recipe = recipe_with(MEAN, [2.0], {})
    assert (recipe.image["mean"], recipe.image["std"], recipe.doubts) == (tuple(MEAN), (2.0, 2.0, 2.0), {})


@pytest.mark.parametrize("mean", [[1.0, 2.0], [float("nan"), 1.0, 2.0], [float("inf")]])
def test_what_is_no_mean_is_refused(recipe_with, config_text: str, mean: list[float]):
    with pytest.raises(CheckpointError, match=r"data_preprocessor\.mean is \[.*expected one or three numbers: take it"):
        recipe_with(mean, STD, {"cfg": config_text})


def test_a_divisor_is_positive(recipe_with, config_text: str):
    with pytest.raises(CheckpointError, match="expected one or three positive numbers"):
        recipe_with(MEAN, [1.0, 0.0, 1.0], {"cfg": config_text})
