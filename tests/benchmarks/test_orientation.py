"""The script behind the claim about portrait pictures."""

from pathlib import Path

from benchmarks.orientation import LANDSCAPE, PORTRAIT, SETTINGS, SIDES
from detector.spec_files import read_settings

RECORD = Path(__file__).resolve().parents[2] / "benchmarks" / "orientation.txt"


def test_the_sides_differ_in_nothing_but_the_canvases():
    both, alone = (
        read_settings("demo").override([*SETTINGS, f"atc.image_sizes={SIDES[side]}"]).document
        for side in ("both", "landscape alone")
    )
    assert both.pop("atc") == {"image_sizes": [list(LANDSCAPE), list(PORTRAIT)]}
    assert alone.pop("atc") == {"image_sizes": None}
    assert both == alone
    assert both["canvas"] == list(LANDSCAPE)


def test_readme_quotes_the_record():
    readme = (RECORD.parents[1] / "README.md").read_text()
    alone, both = (
        line.split()[line.split().index("AP") + 1] for line in RECORD.read_text().splitlines() if " AP " in line
    )
    assert f"AP {alone} becomes {both}" in readme
