"""Files made byte by byte, and what reading one takes."""

import tracemalloc
from pathlib import Path

from detector.errors import CheckpointError
from export.checkpoints.reader import CheckpointFile, read_checkpoint

EMOJI = "\U0001f600".encode()


def peak_of_reading(path: Path) -> tuple[CheckpointFile | None, int]:
    """What a file holds, None if it is refused; and the bytes that reading took, tensors included."""
    file, message = None, path.name
    tracemalloc.start()
    try:
        file = read_checkpoint(path)
    except CheckpointError as error:
        message = str(error)
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert path.name in message
    assert len(message) < 600
    # torch's own memory is not traced; the tensors that share the file's are counted all the same.
    return file, peak + sum(tensor.untyped_storage().nbytes() for tensor in (file.tensors.values() if file else ()))


def pickled(body: bytes) -> bytes:
    return b"\x80\x04" + body + b"."


def protobuf_bytes(number: int, data: bytes) -> bytes:
    length = len(data)
    prefix = bytes([number << 3 | 2])
    while length >= 0x80:
        prefix += bytes([length & 0x7F | 0x80])
        length >>= 7
    return prefix + bytes([length]) + data


def parameter(name: str, dims: bytes = b"\x08\x01", kind: str = "Int8", content: bytes = b"\x01") -> bytes:
    tensor = dims + protobuf_bytes(2, kind.encode()) + protobuf_bytes(3, content)
    return protobuf_bytes(1, protobuf_bytes(1, name.encode()) + protobuf_bytes(2, tensor))


def safetensors(header: bytes, data: bytes = b"") -> bytes:
    return len(header).to_bytes(8, "little") + header + data


def entry(dtype: str = "F32", shape: str = "[1]", offsets: str = "[0,4]") -> bytes:
    return f'{{"dtype":"{dtype}","shape":{shape},"data_offsets":{offsets}}}'.encode()
