"""The command line of the forecasts."""

import argparse

import pytest

from convert.precision.command import batch_size


def test_images_per_run_are_bounded_as_those_of_convert():
    assert batch_size("4096") == 4096
    with pytest.raises(argparse.ArgumentTypeError, match="expected at most 4096 images per run, got 4097"):
        batch_size("4097")
