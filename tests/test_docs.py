"""What code and pages cite exists: pages, their sections, files, anchors."""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

import pytest
import yaml

from tests.test_layers import PACKAGES

ROOT = Path(__file__).resolve().parents[1]
FACTS = sorted((ROOT / "docs" / "facts").glob("*.md"))
SUFFIXES = {".py", ".md", ".yaml", ".yml", ".toml", ".tsv", ".sh", ""}
SECTIONS = r"sections? (\d[\d.]*(?:(?:,| and|, and) \d[\d.]*)*)"
OWN_PAGE = re.compile(r"(?<![\w./-])docs/(?:facts/)?[a-z_]+\.md")  # not docs/IR.md of onnx
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")


def texts() -> Iterator[tuple[Path, str]]:
    """Every text of the repository, its lines joined where a comment wraps."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    for name in listed.stdout.decode().split("\0"):
        path = ROOT / name
        if name and path.suffix in SUFFIXES and path.is_file() and path != Path(__file__):
            yield path, re.sub(r"\n\s*(?:# ?)?", " ", path.read_text(encoding="utf-8"))


TEXTS = list(texts())


def numbers_of(page: str) -> set[str]:
    """Numbers of a page's sections."""
    return {number.rstrip(".") for number in re.findall(r"^#{2,3} (\d[\d.]*)", page, re.MULTILINE)}


def unresolved(text: str) -> list[str]:
    """Citations of a section that is not there, of a page by another name than its path, and of no page at all."""
    broken = []
    for page, numbers in re.findall(rf"([\w./-]+\.md)[,:]? \(?{SECTIONS}", text):
        path = ROOT / page
        found = numbers_of(path.read_text()) if path.is_file() else set()
        broken += [
            f"{page} section {number}" for number in re.findall(r"\d+(?:\.\d+)*", numbers) if number not in found
        ]
    broken += [page for page in OWN_PAGE.findall(text) if not (ROOT / page).is_file()]
    facts = "|".join(path.stem for path in FACTS)
    return broken + re.findall(rf"(?<![\w./-])(?:{facts}|vendor|anchors|int8|DESIGN)\.md", text)


@pytest.mark.parametrize(
    ("text", "broken"),
    [
        ("(docs/facts/atc.md, section 6.2).", []),
        ("docs/facts/atc.md, sections 3.4, 3.5: files", []),
        ("docs/facts/ais_bench.md, sections 4.5 and 5)", []),
        ("docs/facts/atc.md, section 6.9", ["docs/facts/atc.md section 6.9"]),
        ("docs/facts/atc.md, sections 3.4, 99", ["docs/facts/atc.md section 99"]),
        ("docs/facts/none.md", ["docs/facts/none.md"]),
        ("docs/none.md, section 1", ["docs/none.md section 1", "docs/none.md"]),
        ("atc.md section 6.2", ["atc.md section 6.2", "atc.md"]),
    ],
)
def test_broken_citations_are_found(text: str, broken: list[str]):
    assert unresolved(text) == broken


def test_every_citation_resolves():
    code = {path: text for path, text in TEXTS if path.suffix != ".md"}
    assert sum("docs/facts/" in text for text in code.values()) > 20
    assert {str(path.relative_to(ROOT)): found for path, text in code.items() if (found := unresolved(text))} == {}


def test_sections_of_the_facts_count_up():
    assert len(FACTS) >= 3
    for path in FACTS:
        majors = [int(number) for number in re.findall(r"^## (\d+)\. ", path.read_text(), re.MULTILINE)]
        assert majors == list(range(len(majors))), path


def anchor(heading: str) -> str:
    """As GitHub makes it of a heading."""
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


def anchors(path: Path) -> set[str]:
    return {anchor(heading) for heading in re.findall(r"^#+ (.+)$", path.read_text(), re.MULTILINE)}


PAGES = [path for path, _ in TEXTS if path.suffix == ".md"]


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_relative_link_leads_somewhere(page: Path):
    for target in LINK.findall(re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL)):
        if "://" in target or target.startswith("mailto:"):
            continue
        file, _, fragment = unquote(target).partition("#")
        path = (page.parent / file).resolve() if file else page
        assert path.exists(), target
        assert not fragment or fragment in anchors(path), target


@pytest.mark.parametrize("page", [page for page in PAGES if page not in FACTS], ids=lambda page: page.name)
def test_every_module_that_a_page_names_is_there(page: Path):
    named = re.findall(rf"`((?:{'|'.join(PACKAGES)}|tests)/(?:[\w-]+/)*(?:\w+\.py)?)`", page.read_text())
    assert [name for name in named if not (ROOT / name).exists()] == []


def test_every_page_is_indexed():
    listed = {
        (ROOT / "docs" / target.partition("#")[0]).resolve()
        for target in LINK.findall((ROOT / "docs/README.md").read_text())
    }
    assert {path for path in PAGES if path.is_relative_to(ROOT / "docs")} - listed == {ROOT / "docs" / "README.md"}


def test_pre_commit_has_the_ruff_of_the_lock():
    (repository,) = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
    assert repository["repo"] == "local"
    recipe = (ROOT / "Makefile").read_text()
    for hook, command in zip(repository["hooks"], ("format", "check"), strict=True):
        assert hook["entry"].split()[:2] == [".venv/bin/ruff", command]
        assert f"$(PY) -m ruff {command} " in recipe
    assert re.search(r"^ruff==(.+)$", (ROOT / "requirements.lock").read_text(), re.MULTILINE)


def test_ci_runs_what_developers_run():
    workflow = (ROOT / ".github" / "workflows" / "ci.yml").read_text()
    assert re.findall(r"- run: (.+)", workflow) == ["make check"]


def test_an_issue_asks_for_the_doctor():
    forms = sorted((ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.md"))
    assert forms
    assert all("make doctor" in form.read_text() for form in forms)
