"""docs/atc_options.md names every option that atc has: passed from a key, or left out with the reason."""

import re
from pathlib import Path

import pytest

from convert.atc.command import SETTINGS, SWITCHES
from convert.atc.options import GEARS, OPTIONS
from detector.spec.atc import FILE_OPTIONS, AtcSpec

PAGE = (Path(__file__).resolve().parents[3] / "docs" / "atc_options.md").read_text(encoding="utf-8")
PASSED, LEFT_OUT = (
    re.findall(r"--(\w+)`", " ".join(re.findall(r"^\| (`--.*?`) \|", part, re.MULTILINE)))
    for part in PAGE.split("## Left out")
)
ALWAYS = ("framework", "model", "output", "input_format", "input_shape", "out_nodes", "soc_version", "log")
# Keys that are no options of atc: they shape the graph that it is given.
OF_THE_GRAPH = {"opset", "nms", "candidates"}
SPELLED = {"batch_sizes": "dynamic_batch_size", "image_sizes": "dynamic_image_size", "dims": "dynamic_dims"}


def test_every_option_is_named_once():
    assert sorted([*PASSED, *LEFT_OUT]) == sorted(OPTIONS)


def test_what_is_passed_is_what_the_command_passes():
    assert sorted(PASSED) == sorted([*ALWAYS, *GEARS, *FILE_OPTIONS, *SETTINGS, *SWITCHES, "op_debug_level"])


def test_every_key_is_an_option_that_is_passed():
    assert {SPELLED.get(key, key) for key in AtcSpec.model_fields.keys() - OF_THE_GRAPH} <= set(PASSED)


@pytest.mark.parametrize("name", [name for name, option in OPTIONS.items() if option.instead])
def test_what_is_deprecated_is_never_passed(name):
    assert name in LEFT_OUT
