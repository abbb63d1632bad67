"""A report's page taken apart, and an evaluation changed."""

import json
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from detector.files.digest import digest_of
from postprocess.metrics.metrics_file import DIGEST

NASTY = '<script>alert("猫 & 1")</script>'


class Parsed(HTMLParser):
    """The elements, the attributes and the text of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.text = ""
        self.open: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]
        if tag != "meta":
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def change(results: Path, **values: Any) -> None:
    """Other values in metrics.json, as if `eval` had written them."""
    path = results / "metrics.json"
    record = {**json.loads(path.read_text()), **values}
    path.write_text(json.dumps({**record, DIGEST: digest_of(record, key=DIGEST)}))
