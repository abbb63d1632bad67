"""Names of bins."""

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from detector.products.bin_stems import stem_of, unique_stems

NAMES = st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="/"), min_size=1, max_size=20)


@pytest.mark.parametrize(
    ("name", "stem"), [("a.bin", "a"), ("a.b.bin", "a"), ("x/y.z/a_0.bin", "a_0"), ("a", "a"), (".bin", "")]
)
def test_ais_bench_cuts_a_stem_at_the_first_dot(name: str, stem: str):
    assert stem_of(name) == stem


def test_plain_names_keep_their_stems():
    assert unique_stems(["000000000139.jpg", "IMG_2-x.PNG"]) == ["000000000139", "IMG_2-x"]


@given(st.lists(NAMES, unique=True, max_size=8))
@example(["a.1.jpg", "a.2.jpg", "a.jpg", "a.png", "A.jpg", "a b.jpg", "a_b.jpg"])
@example(["a.jpg", "a.png"])
@example(["a.jpg", "A.jpg"])
@example(["图片.jpg", "照片.jpg", "__.jpg"])
@example(["a b.jpg", f"{unique_stems(['a b.jpg'])[0]}.jpg"])
@example(["n" * 251, "n" * 250 + "m"])
def test_stems_are_legal_and_do_not_collide(names: list[str]):
    stems = unique_stems(names)
    assert len({stem.lower() for stem in stems}) == len(names)
    for stem in stems:
        assert re.fullmatch("[A-Za-z0-9_-]+", stem)
        assert stem_of(f"{stem}.bin") == stem
        assert len(f"{stem}_0.bin") <= 255


def test_a_stem_depends_on_its_name_only_when_it_had_to_change():
    assert unique_stems(["a b.jpg", "c.jpg"])[0] == unique_stems(["a b.jpg", "d.jpg"])[0]
