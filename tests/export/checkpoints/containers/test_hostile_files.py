"""Files made to do harm: refused, in reasonable memory, and nothing is run."""

import io
import pickle
import struct
import zipfile
from pathlib import Path

import pytest

from detector.errors import CheckpointError
from export.checkpoints.reader import read_checkpoint
from tests.export.checkpoints.containers.crafted_files import (
    EMOJI,
    entry,
    parameter,
    peak_of_reading,
    pickled,
    protobuf_bytes,
    safetensors,
)

SIZE = 2**18


def repeated(unit: bytes) -> bytes:
    return pickled(unit * (SIZE // len(unit)))


PICKLES = {
    "none": repeated(b"N"),
    "dictionaries": repeated(b"}"),
    "dictionaries with an item": repeated(b"}NNs"),
    "lists": repeated(b"]"),
    "sets": repeated(b"\x8f"),
    "frozen sets": repeated(b"(\x91"),
    "marks": repeated(b"("),
    "tuples in tuples": pickled(b")" + b"\x85" * SIZE),
    "the same tuple twice, and so on": pickled(b"N" + b"\x94h\x00\x86" * (SIZE // 4)),
    "memo": pickled(b"N" + b"\x94" * SIZE),
    "memo at 2**31": pickled(b"Nr\xff\xff\xff\x7f"),
    "names": repeated(b"ca\nb\n"),
    "one long name": pickled(b"c" + b"a" * SIZE + EMOJI + b"\nb\n"),
    "wide text": pickled(b"X" + struct.pack("<I", SIZE) + EMOJI + b"a" * (SIZE - 4)),
    "wide lines": pickled(b"V" + b"a" * SIZE + rb"\U0001F600" + b"\n"),
    "short texts": repeated(b"\x8c\x03abc"),
    "short wide texts": repeated(b"\x8c\x05a" + EMOJI),
    "short bytes": repeated(b"C\x01a"),
    "numbers": repeated(b"Gabcdefgh"),
    "integers": repeated(b"\x8a\x08abcdefgh"),
    "an integer of 2**31 bytes": pickled(b"\x8b\xff\xff\xff\x7f"),
    "text of 2**63 bytes": pickled(b"\x8d" + b"\xff" * 7 + b"\x7f"),
    "bytes of 2**63 bytes": pickled(b"\x8e" + b"\xff" * 7 + b"\x7f"),
    "a byte array of 2**63 bytes": pickled(b"\x96" + b"\xff" * 7 + b"\x7f"),
    "a frame of 2**63 bytes": pickled(b"\x95" + b"\xff" * 7 + b"\x7f"),
    "arrays": pickled(b"cnumpy.core.multiarray\n_reconstruct\n\x94" + b"h\x00)R" * (SIZE // 4)),
    "copies of a dictionary": pickled(
        b"ccollections\nOrderedDict\n\x94](" + b"NN\x86" * 5000 + b"e\x94" + b"h\x00h\x01\x85R" * (SIZE // 6)
    ),
    "long argument lists": pickled(b"ctorch\nSize\n\x94(" + b"N" * SIZE + b"t\x94" + b"h\x00h\x01R" * 20_000),
}


@pytest.mark.parametrize("data", PICKLES.values(), ids=PICKLES.keys())
def test_a_hostile_pickle_takes_no_more_than_four_times_its_size(tmp_path: Path, data: bytes):
    path = tmp_path / "hostile.pkl"
    path.write_bytes(data)
    file, peak = peak_of_reading(path)
    assert file is None
    # The allowance of a file this small is mostly its fixed part, of which about half is really used.
    assert peak <= 4 * max(len(data), 2**20)


CKPTS = {
    "parameters": b"".join(parameter(str(index), b"\x08\0", content=b"") for index in range(SIZE // 24)),
    "slices": parameter("a") * (SIZE // len(parameter("a"))),
    "dimensions": parameter("a", b"\x08\x01" * SIZE),
    "packed dimensions": parameter("a", protobuf_bytes(1, b"\x01" * SIZE)),
    "unknown fields": parameter("a") + b"\x28\x01" * SIZE,
    "parameters without a value": parameter("a") + protobuf_bytes(1, protobuf_bytes(1, b"a")) * (SIZE // 5),
    "one long name": parameter("a") + parameter(EMOJI.decode() + "a" * SIZE),
    "one long type": parameter("a", kind=EMOJI.decode() + "a" * SIZE),
    "2**63 elements": parameter("a", b"\x08" + b"\xff" * 8 + b"\x7f"),
    "more than 2**64": parameter("a", b"\x08" + b"\xff" * 9 + b"\x7f"),
    "2**62 * 2**62 elements": parameter("a", (b"\x08" + b"\x80" * 8 + b"\x20") * 2),
    "a value of 2**60 bytes": b"\x0a" + b"\xff" * 8 + b"\x0f" + parameter("a")[2:],
}


@pytest.mark.parametrize("data", CKPTS.values(), ids=CKPTS.keys())
def test_a_hostile_mindspore_file_takes_no_more_than_four_times_its_size(tmp_path: Path, data: bytes):
    path = tmp_path / "hostile.ckpt"
    path.write_bytes(data)
    file, peak = peak_of_reading(path)
    assert file is None
    assert peak <= 4 * max(len(data), 2**20)


HEADERS = {
    "lists": safetensors(b'{"a":[' + b"[]," * SIZE + b"[]]}"),
    "lists in lists": safetensors(b'{"a":' + b"[" * SIZE),
    "dictionaries in dictionaries": safetensors(b'{"a":' * (SIZE // 5)),
    "numbers": safetensors(b'{"a":[' + b"1.5," * SIZE + b"1]}"),
    "wide text": safetensors(b'{"a":"' + EMOJI + b"a" * SIZE + b'"}'),
    "empty tensors": safetensors(
        b"{"
        + b",".join(b'"%d":' % index + entry("F32", "[0]", "[0,0]") for index in range(SIZE // 50))
        + b',"a":'
        + b"[" * 30_000
        + b"}"
    ),
    "all of the same bytes": safetensors(b'{"a":' + entry() + b',"b":' + entry() + b"}", b"1234"),
    "a gap": safetensors(b'{"a":' + entry(offsets="[4,8]") + b"}", b"12345678"),
    "bytes left over": safetensors(b'{"a":' + entry() + b"}", b"12345"),
    "bytes missing": safetensors(b'{"a":' + entry() + b"}", b"123"),
    "another shape": safetensors(b'{"a":' + entry(shape="[2]") + b"}", b"1234"),
    "2**80 elements": safetensors(b'{"a":' + entry(shape="[1208925819614629174706176]") + b"}", b"1234"),
    "backwards": safetensors(b'{"a":' + entry(offsets="[4,0]") + b"}", b"1234"),
    "negative": safetensors(b'{"a":' + entry(shape="[-1]") + b"}", b"1234"),
    "true": safetensors(b'{"a":' + entry(shape="[true]") + b"}", b"1234"),
    "an unknown type": safetensors(b'{"a":' + entry(dtype="F8_E4M3", offsets="[0,1]") + b"}", b"1"),
    "no object": safetensors(b'{"a":1}'),
    "no entry": safetensors(b'{"a":{}}'),
    "no tensors": safetensors(b"{}"),
    "no JSON": safetensors(b"{nan"),
    "a header of 2**39 bytes": (2**39).to_bytes(8, "little") + b'{"a":1}',
}


@pytest.mark.parametrize("data", HEADERS.values(), ids=HEADERS.keys())
def test_a_hostile_header_is_refused(tmp_path: Path, data: bytes):
    path = tmp_path / "hostile.safetensors"
    path.write_bytes(data)
    file, peak = peak_of_reading(path)
    assert file is None
    assert peak <= 4 * max(len(data), 2**20)


def test_a_directory_larger_than_its_archive_is_refused(tmp_path: Path):
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as writer:
        writer.writestr("a/data.pkl", b"\x80\x02}.")
    data = archive.getvalue()
    start, end = data.index(b"PK\x01\x02"), data.index(b"PK\x05\x06")
    row = data[start:end]
    rows = row[:46] + b"b" * 10
    directory = row + rows * (2**20 // len(rows))
    tail = data[end : end + 12] + len(directory).to_bytes(4, "little") + data[end + 16 :]
    path = tmp_path / "hostile.pth"
    path.write_bytes(data[:start] + directory + tail)
    file, peak = peak_of_reading(path)
    assert file is None
    assert peak <= 4 * len(directory)


@pytest.mark.parametrize(
    "function", [b"cposix\nsystem\n", b"cos\nsystem\n", b"cnt\nsystem\n", b"\x8c\x02os\x8c\x06system\x93"]
)
@pytest.mark.parametrize("call", [b"R", b"\x81", b"}\x92"])
@pytest.mark.parametrize("container", ["pickle", "zip", "legacy"])
def test_no_container_runs_os_system(tmp_path: Path, function: bytes, call: bytes, container: str):
    trace = tmp_path / "trace"
    program = f"touch {trace}".encode()
    attack = pickled(function + b"X" + struct.pack("<I", len(program)) + program + b"\x85" + call)
    path = tmp_path / "attack"
    if container == "zip":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("attack/data.pkl", attack)
    else:
        header = b"".join(pickle.dumps(value, 2) for value in (0x1950A86A20F9469CFC6C, 1001, {"little_endian": True}))
        path.write_bytes((header if container == "legacy" else b"") + attack)
    with pytest.raises(CheckpointError, match=r"asks for \S+system, which runs code.*nothing was run"):
        read_checkpoint(path)
    assert not trace.exists()
