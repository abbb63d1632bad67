"""One sheet of facts: typed, with sources and dates, and what the docs say is what it says."""

import re
from typing import get_args

import pytest

from convert.lint.facts import facts
from detector.card.sheet import (
    CHIPS,
    DEFAULT_CANN,
    DOCUMENT,
    FLOAT16_MAX,
    NMS_OPSET,
    RELEASES,
    SOURCES,
    TOOL_COMMIT,
    TOOL_VERSION,
    nms_opsets,
    number,
)
from detector.spec.atc import AtcSpec, PrecisionMode, PrecisionModeV2
from tests.detector.card.tables import PAGES, PLACE, ROOT, rendered, table

README = (ROOT / "README.md").read_text(encoding="utf-8")
HOST = (ROOT / "docs/npu_host.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("page", PAGES)
def test_the_tables_of_the_docs_are_those_of_the_sheet(page: str):
    text = (ROOT / page).read_text(encoding="utf-8")
    assert tuple(place[1] for place in PLACE.finditer(text)) == PAGES[page]
    assert rendered(text) == text, "run python -m tests.detector.card.tables"


def test_a_table_follows_the_sheet():
    assert "| 8.1.RC1 | 8 to 16 |" in table("versions")
    assert "| 65504 | " in table("limits")
    assert "| Ascend310P3 | 8 | 7 | 16 | 1060 | 24000000000 |\n" in table("chips")


@pytest.mark.parametrize(
    ("version", "opsets"),
    [
        ("3.3.0", (11, 11)),
        ("5.0.4", (11, 11)),
        ("5.1.RC2", (11, 11)),
        ("6.0.1", (9, 13)),
        ("6.3.RC2", (9, 13)),
        ("7.0.0", (9, 16)),
        ("8.1.RC1", (8, 16)),
        ("8.4", (8, 16)),
        ("9.0", (8, 16)),
        ("10.0", (8, 16)),
    ],
)
def test_the_opsets_of_an_installed_release(version: str, opsets: tuple[int, int]):
    assert nms_opsets(version) == opsets


def test_releases_run_from_the_oldest_to_the_newest():
    assert {"5.1", "9.1", DEFAULT_CANN} <= set(RELEASES)
    assert sorted(RELEASES, key=number) == list(RELEASES)


def test_every_fact_has_a_source_with_its_date():
    used = {release.source for release in RELEASES.values()} | {
        limit["source"] for limit in DOCUMENT["limits"].values()
    }
    assert used <= SOURCES.keys()
    assert all(re.fullmatch(r"20\d\d-\d\d", entry["read"]) for entry in DOCUMENT["sources"].values())
    assert SOURCES.items() <= facts().sources.items()


def test_the_spec_takes_the_chips_and_the_modes_of_the_sheet():
    assert get_args(AtcSpec.model_fields["soc_version"].annotation) == tuple(CHIPS)
    for option, modes in ((1, PrecisionMode), (2, PrecisionModeV2)):
        listed = {name for name, entry in DOCUMENT["precision_modes"].items() if option in entry["options"]}
        assert set(get_args(modes)) == listed
    assert max(get_args(AtcSpec.model_fields["opset"].annotation)) == RELEASES[DEFAULT_CANN].opset[1]


def test_the_operator_table_reads_the_limits_of_the_sheet():
    operator = facts().operators["BatchMultiClassNMS"]
    assert (min(operator.opsets), max(operator.opsets)) == NMS_OPSET == (8, 16)
    assert FLOAT16_MAX == 65504


def test_the_pages_name_the_default_release_and_the_others():
    others = ", ".join(name for name in RELEASES if name != DEFAULT_CANN)
    assert f"`--cann` is {DEFAULT_CANN} unless you say another of {others}" in " ".join(README.split())
    check = (ROOT / "docs/check.md").read_text(encoding="utf-8")
    assert f"`--cann` is {DEFAULT_CANN} unless you say another" in check


def test_the_host_page_names_the_tools_of_the_sheet():
    tools = DOCUMENT["tools"]
    tags = [f"cp{python.replace('.', '')}" for python in tools["pythons"]]
    text = " ".join(HOST.split())
    assert f"{TOOL_VERSION}, as it is in GitHub `Yanguan619/aclruntime` at commit {TOOL_COMMIT}" in text
    assert (
        f"Wheels of `aclruntime` {TOOL_VERSION} exist for Python {tools['pythons'][0]} to {tools['pythons'][-1]} "
        f"(`{tags[0]}-{tags[0]}m` to `{tags[-1]}-{tags[-1]}`), {' and '.join(tools['processors'])}"
    ) in text
    assert f"ais_bench asks for CANN {tools['cann_min']} or later" in text
