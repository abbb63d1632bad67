"""What stands beside an OM is taken as it was written, or not at all."""

import json
from pathlib import Path

import pytest

from detector.errors import ArtifactError
from detector.products.om_file import DIGEST, write_description
from detector.spec import DetectorSpec
from detector.spec_files import load_spec


@pytest.fixture
def beside(tmp_path: Path, spec: DetectorSpec) -> Path:
    path = tmp_path / "m.om.json"
    write_description(path, {"spec": spec.model_dump(mode="json"), "batch_size": 8, "assumed": []})
    return path


def test_it_is_read_as_it_was_written(beside: Path, spec: DetectorSpec):
    facts = json.loads(beside.read_text())
    beside.write_text(json.dumps(dict(reversed(facts.items()))))  # spacing and order play no part
    assert load_spec(beside.with_suffix("")) == spec


def test_what_was_changed_since_is_refused_with_and_without_the_om(beside: Path):
    facts = json.loads(beside.read_text())
    facts["spec"]["classes"].reverse()
    beside.write_text(json.dumps(facts))
    for om in (b"", b"an OM"):
        if om:
            beside.with_suffix("").write_bytes(om)
        with pytest.raises(
            ArtifactError, match=r"m\.om\.json is not as convert wrote it .*: changed since; build it again"
        ):
            load_spec(beside.with_suffix(""))


def test_that_it_has_no_digest_is_a_departure(beside: Path, spec: DetectorSpec):
    facts = json.loads(beside.read_text())
    del facts[DIGEST]
    beside.write_text(json.dumps(facts))
    (departure,) = load_spec(beside.with_suffix("")).departures
    assert departure == (
        "m.om.json carries no SHA-256 of its content (description_sha256): whether it was changed after it was made "
        "cannot be told"
    )
    facts["spec"]["departures"] = [departure]
    beside.write_text(json.dumps(facts))
    assert load_spec(beside.with_suffix("")).departures == (departure,)
