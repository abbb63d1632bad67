"""Every next step that a message names mends what it names: damage, the stage that meets it, its message, done so."""

import json
import os
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from detector.errors import ArtifactError, DataError, PipelineError
from infer.__main__ import main as infer
from postprocess.__main__ import main as postprocess
from preprocess.__main__ import main as preprocess

STAGES = ("preprocess", "infer", "eval", "report")
# What a message may name, and the stage that it means.
NAMED = {
    "preprocess": r"`python -m preprocess`|\(make preprocess( AGAIN=1)?\)",
    "infer": r"`python -m infer`|\(make infer( AGAIN=1)?\)|run inference again",
    "eval": r"`python -m postprocess eval|\(make eval\)",
}


class Work:
    """One pipeline of five images and what its stages leave."""

    def __init__(self, folder: Path, model: Path, coco: Path) -> None:
        self.bins, self.output, self.scored = folder / "bins", folder / "out", folder / "eval"
        self.results = self.output / "r"
        self.model, self.coco, self.page = model, coco, folder / "report.html"

    def run(self, stage: str) -> None:
        truth = ["--annotations_path", str(self.coco / "annotations")]
        images = ["--image_src_path", str(self.coco / "val2017")]
        match stage:
            case "preprocess":
                preprocess(["--model", str(self.model), *images, "--bin_file_path", str(self.bins), "--workers", "1"])
            case "infer":
                arguments = ["--model", str(self.model), "--input", str(self.bins), "--output", str(self.output)]
                assert infer([*arguments, "--output_dirname", "r"]) == 0
            case "eval":
                read = ["--bin_data_path", str(self.results), "--test_annotation", str(self.bins)]
                postprocess(["eval", *read, *truth, "--det_results_path", str(self.scored)])
            case "report":
                postprocess(
                    ["report", "--det_results_path", str(self.scored), *truth, *images, "--output", str(self.page)]
                )

    def products(self) -> dict[str, bytes]:
        return {
            name: (self.scored / name).read_bytes() for name in ("detections.json", "pictures.json", "metrics.json")
        } | {"page": self.page.read_bytes()}

    def bin(self, number: int = 0) -> Path:
        return sorted(self.bins.glob("*.bin"))[number]

    def result(self, number: int = 0) -> Path:
        return sorted(self.results.glob("*.bin"))[number]


@pytest.fixture
def work(tmp_path: Path, coco: Path, convert: Callable[..., Path]) -> Iterator[Work]:
    work = Work(tmp_path, convert(2), coco)
    for stage in STAGES:
        work.run(stage)
    return work


def zero(path: Path) -> None:
    path.write_bytes(bytes(path.stat().st_size))


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-5])


def swap(one: Path, other: Path) -> None:
    contents = one.read_bytes(), other.read_bytes()
    other.write_bytes(contents[0])
    one.write_bytes(contents[1])


def change(path: Path, **values: Any) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


def fifo(path: Path) -> None:
    clear(path)
    os.mkfifo(path)


def loop(path: Path) -> None:
    clear(path)
    path.symlink_to(path.name)


def folder(path: Path) -> None:
    clear(path)
    path.mkdir()


def clear(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


# What may lie in the place of a product: by its name, the stage that meets it first, and where it lies.
PLACES: dict[str, tuple[str, Callable[[Work], Path]]] = {
    "a bin": ("infer", Work.bin),
    "the manifest": ("infer", lambda work: work.bins / "manifest.json"),
    "the bins": ("preprocess", lambda work: work.bins),
    "the record of a killed run": ("preprocess", lambda work: work.bins / ".unfinished.json"),
    "the lock of the bins": ("preprocess", lambda work: work.bins.with_name(".bins.lock")),
    "a result": ("eval", Work.result),
    "the results": ("eval", lambda work: work.results),
    "the summary": ("eval", lambda work: work.output / "r_summary.json"),
    "the origin": ("eval", lambda work: work.output / "r_origin.json"),
    "the lock of the results": ("infer", lambda work: work.output / ".r.lock"),
    "the metrics": ("report", lambda work: work.scored / "metrics.json"),
    "the detections": ("report", lambda work: work.scored / "detections.json"),
    "the list of pictures": ("report", lambda work: work.scored / "pictures.json"),
    "the evaluation": ("report", lambda work: work.scored),
    "the page": ("report", lambda work: work.page),
}


MET_BY: dict[str, dict[str, Callable[[Work], object]]] = {
    "infer": {
        "a bin zeroed": lambda work: zero(work.bin()),
        "a bin cut": lambda work: cut(work.bin()),
        "a bin gone": lambda work: work.bin().unlink(),
        "a bin that is a FIFO": lambda work: fifo(work.bin()),
        "two bins swapped": lambda work: swap(work.bin(0), work.bin(1)),
        "a strange bin": lambda work: shutil.copy(work.bin(), work.bins / "strange.bin"),
        "the manifest gone and no bins": lambda work: shutil.rmtree(work.bins) or work.bins.mkdir(),
        "the manifest cut": lambda work: cut(work.bins / "manifest.json"),
        "the manifest of another format": lambda work: change(work.bins / "manifest.json", format="omline-bins-0"),
        "the manifest that is a FIFO": lambda work: fifo(work.bins / "manifest.json"),
    },
    "eval": {
        "a result zeroed": lambda work: zero(work.result(1)),
        "a result cut": lambda work: cut(work.result()),
        "a result gone": lambda work: work.result().unlink(),
        "two results swapped": lambda work: swap(work.result(0), work.result(2)),
        "a strange result": lambda work: shutil.copy(work.result(), work.results / "strange_0.bin"),
        "a folder among the results": lambda work: (work.results / "strange").mkdir(),
        "the results gone": lambda work: shutil.rmtree(work.results),
        "the summary gone": lambda work: (work.output / "r_summary.json").unlink(),
        "the summary cut": lambda work: cut(work.output / "r_summary.json"),
        "the summary of another tool": lambda work: change(work.output / "r_summary.json", filesinfo=[]),
        "the origin cut": lambda work: cut(work.output / "r_origin.json"),
        "the origin of other bins": lambda work: change(work.output / "r_origin.json", bins_fingerprint="0" * 16),
        "the origin of another canvas": lambda work: change(work.output / "r_origin.json", canvas=[32, 32]),
        "the manifest gone": lambda work: (work.bins / "manifest.json").unlink(),
        "the manifest cut": lambda work: cut(work.bins / "manifest.json"),
    },
    "report": {
        "the metrics gone": lambda work: (work.scored / "metrics.json").unlink(),
        "the metrics cut": lambda work: cut(work.scored / "metrics.json"),
        "the metrics edited": lambda work: change(work.scored / "metrics.json", AP=99.9),
        "the list of pictures gone": lambda work: (work.scored / "pictures.json").unlink(),
        "the list of pictures edited": lambda work: (work.scored / "pictures.json").write_text("[]"),
        "the detections gone": lambda work: (work.scored / "detections.json").unlink(),
        "the detections cut": lambda work: cut(work.scored / "detections.json"),
        "the detections of another run": lambda work: (work.scored / "detections.json").write_text("[]"),
    },
}  # fmt: skip


@pytest.mark.parametrize(("stage", "damage"), [(stage, name) for stage, faults in MET_BY.items() for name in faults])
def test_what_a_message_names_mends(work: Work, stage: str, damage: str):
    expected = work.products()
    MET_BY[stage][damage](work)
    mend(work, STAGES.index(stage))
    assert work.products() == expected


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("kind", [fifo, loop, folder])
def test_what_lies_in_the_place_of_a_product_is_mended(work: Work, place: str, kind: Callable[[Path], None]):
    expected = work.products()
    stage, path = PLACES[place]
    kind(path(work))
    mend(work, STAGES.index(stage))
    assert work.products() == expected


@pytest.mark.parametrize(
    "name",
    ["eval/metrics.json", "eval/detections.json", "eval/pictures.json", "coco/annotations/instances_val2017.json"],
)
def test_the_page_is_not_written_over_what_it_is_made_of(work: Work, name: str):
    work.page = work.scored.parent / name
    before = work.page.read_bytes()
    with pytest.raises(ArtifactError, match=rf"{name} is the input .* and would be overwritten; give another path"):
        work.run("report")
    assert work.page.read_bytes() == before


def mend(work: Work, first: int) -> None:
    """Run the stages, and do what they say."""
    for _ in range(3):  # the stage named may have something to say itself, such as what to remove
        try:
            for each in STAGES[first:]:
                work.run(each)
        except (PipelineError, OSError) as error:
            first = follow(work, str(error))
        else:
            return
    pytest.fail("not mended by three steps")


def follow(work: Work, message: str) -> int:
    """Do what the message says, and give the number of the stage that it names."""
    if named := re.search(
        r"(/\S+?)[,:]? .*remove (it|the file|the folder|that folder|that link|such files)\b", message
    ):
        clear(Path(named[1]))
    if "empty " in message:
        shutil.rmtree(work.results)
    stages = [stage for stage, pattern in NAMED.items() if re.search(pattern, message)]
    assert stages or named, f"no next step: {message}"
    return min(map(STAGES.index, stages), default=0)


def picture(work: Work) -> Path:
    return sorted((work.coco / "val2017").iterdir())[0]


def test_a_picture_that_was_replaced_is_not_drawn_on(work: Work):
    expected, path = work.products(), picture(work)
    before = path.read_bytes()
    path.write_bytes(before + b"\0")  # the same pixels
    with pytest.raises(
        DataError, match=rf"{path} is not the picture that was preprocessed .*: put that one back, or run"
    ):
        work.run("report")
    path.write_bytes(before)
    work.run("report")
    assert work.products() == expected


def test_a_picture_that_was_replaced_is_taken_by_the_stages_named(work: Work):
    expected, path = work.products(), picture(work)
    path.write_bytes(path.read_bytes() + b"\0")
    mend(work, STAGES.index("report"))
    assert work.products()["page"] == expected["page"]
    assert work.products()["pictures.json"] != expected["pictures.json"]


def test_bins_of_an_earlier_version_leave_pictures_unbound(work: Work, caplog: pytest.LogCaptureFixture):
    manifest = json.loads((work.bins / "manifest.json").read_text())
    manifest = {key: value for key, value in manifest.items() if not key.endswith("sha256")}
    for image in manifest["images"]:
        del image["image_sha256"]
    (work.bins / "manifest.json").write_text(json.dumps(manifest))
    for stage in ("infer", "eval", "report"):
        work.run(stage)
    assert "which pictures were preprocessed is not recorded" in caplog.text
    assert not (work.scored / "pictures.json").exists()
