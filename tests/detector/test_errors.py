"""The error tree: one base class, exit codes in one place."""

import pickle

import pytest

from detector import errors

ALL = [value for value in vars(errors).values() if isinstance(value, type) and issubclass(value, Exception)]


def test_every_error_is_a_pipeline_error():
    assert {error.__name__ for error in ALL} >= {
        "SpecError",
        "CheckpointError",
        "ArtifactError",
        "DataError",
        "ToolError",
    }
    assert all(issubclass(error, errors.PipelineError) for error in ALL)


def test_exit_codes():
    other = {errors.AccuracyError: 3, errors.MissingEnvironmentError: 5}
    known = [error for error in ALL if error.__name__ != "SpeedError"]
    assert {error: error.exit_code for error in known} == {error: other.get(error, 1) for error in known}


@pytest.mark.parametrize("error", ALL, ids=lambda error: error.__name__)
def test_an_error_survives_the_way_between_processes(error: type[Exception]):
    copy = pickle.loads(pickle.dumps(error("what, where")))
    assert (type(copy), str(copy)) == (error, "what, where")
