"""docs/npu_host.md names what the code does."""

import re
from pathlib import Path

import pytest

from detector.diagnosis.tables import returns
from detector.spec.atc import AtcSpec
from infer.contract.gears import OPTIONS
from infer.doctor.card_checks import GUIDE

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / GUIDE).read_text()


def section(title: str) -> str:
    return re.split(r"^## ", PAGE.partition(f"## {title}\n")[2], maxsplit=1, flags=re.MULTILINE)[0]


def test_every_code_of_the_page_can_be_explained():
    codes = re.findall(r"\b[1235]\d{5}\b", section("Errors"))
    assert len(codes) > 10
    assert set(codes) <= set(returns())


def test_the_gear_keys_and_options_are_the_specs():
    text = section("Running an OM")
    assert {"batch_sizes", "image_sizes", "dims"} <= set(AtcSpec.model_fields)
    assert all(f"`{key}`" in text or f"{key}: " in text for key in ("batch_sizes", "image_sizes", "dims"))
    assert all(option in text for name, option in OPTIONS.items() if name != "dym_shape")


@pytest.mark.parametrize("path", re.findall(r"`(tests/[\w/]+\.py)`", PAGE))
def test_the_files_it_names_exist(path: str):
    assert (ROOT / path).is_file()


def test_its_make_targets_exist():
    targets = set(re.findall(r"\bmake (\w+)", PAGE))
    made = set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert {"doctor", "infer", "om"} <= targets <= made
