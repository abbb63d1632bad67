"""Bytes of a sound file changed at random: refused with the name of the file, or taken; never anything else."""

import random

import pytest

from convert.sound.graph import read_sound
from detector.errors import PipelineError
from detector.spec_files import find_spec_onnx


def refusal(read, path):
    try:
        read(path)
    except PipelineError as error:
        return str(error)
    return None


@pytest.mark.parametrize("seed", range(4))
def test_a_damaged_file_is_refused_by_name_or_taken(canonical, tmp_path, seed):
    rng = random.Random(seed)
    whole = canonical.SerializeToString()
    path = tmp_path / "m.onnx"
    refused = 0
    for _ in range(60):
        data = bytearray(whole)
        for _ in range(rng.choice([1, 1, 2, 8])):
            place = rng.randrange(len(data))
            change = rng.random()
            if change < 0.6:
                data[place] = rng.randrange(256)
            elif change < 0.8:
                del data[place : place + rng.randrange(1, 9)]
            else:
                data[place:place] = rng.randbytes(rng.randrange(1, 9))
        path.write_bytes(data)
        for read in (find_spec_onnx, read_sound):
            message = refusal(read, path)
            assert message is None or "m.onnx" in message
            refused += message is not None
    assert refused > 10
