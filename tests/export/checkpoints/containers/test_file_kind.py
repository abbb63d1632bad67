import pytest
from hypothesis import given
from hypothesis import strategies as st

from export.checkpoints.containers.file_kind import HEAD_BYTES, container_of, refusal_of


@pytest.mark.parametrize(
    ("head", "reason"),
    [
        (b"", "empty"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\n", "Git LFS pointer"),
        (b"<!DOCTYPE html><html><title>404</title>", "web page"),
        (b"\n  <html lang='en'>", "web page"),
        (b'<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>', "web page"),
        (b"lr: 0.01\nepochs: 12\n", "a text file"),
        ("权重文件".encode(), "a text file"),
        (bytes.fromhex("d85e3a7f") + b"\x00" * 20, "encrypted MindSpore"),
        (bytes.fromhex("d95e3a7f") + b"\x00" * 20, "encrypted MindSpore"),
        (bytes.fromhex("da5e3a7f") + b"\x00" * 20, "encrypted MindSpore"),
        (b"\x08\x08\x12\x07pytorch", "an ONNX model"),
        (b"\n\nhello\n", "a text file"),
        (b"\x80\x00\x01", "bytes 80 00 01"),
        (b"\x1f\x8b\x08\x00", "gzip"),
        (b"\xff\xd8\xff\xe0", "JPEG"),
        (b"\x00\x01\x02\x03", "bytes 00 01 02 03"),
        (b"x" * 257 + b"ustar\x0000", "tar archive"),
    ],
)
def test_a_file_that_is_not_read_is_named(head: bytes, reason: str):
    assert container_of(head) is None
    assert reason in refusal_of(head, max(len(head), 200))


@pytest.mark.parametrize(
    ("head", "container"),
    [
        (b"PK\x03\x04", "torch-zip"),
        (bytes.fromhex("80028a0a6cfc9c46f9206aa850192e"), "torch-legacy"),
        (bytes.fromhex("8004950d000000000000008a0a6cfc9c46f9206aa85019942e"), "torch-legacy"),
        (b"\x80\x02}q\x01", "pickle"),
        (b"\x80\x03}q\x01", "pickle"),
        (b"\x80\x04\x95\x10\x00\x00\x00\x00\x00\x00\x00}\x94.", "pickle"),
        (b"\x80\x05\x95\x10\x00\x00\x00\x00\x00\x00\x00}\x94.", "pickle"),
        (b"\x0a\x90\x01\x0a\x0cbackbone.bn1\x12\x7f\x08\x40", "mindspore"),
        (b"\x0a\x90\x01\x0a\x0cbackbo", "mindspore"),
        ((60).to_bytes(8, "little") + b'{"a":{"dtype":"F32"}}' + b" " * 60, "safetensors"),
        ((60).to_bytes(8, "little") + b'{"a":', "safetensors"),
    ],
)
def test_a_container_is_told_by_its_first_bytes(head: bytes, container: str):
    assert container_of(head) == container


@given(st.binary(max_size=HEAD_BYTES))
def test_any_head_has_a_verdict(head: bytes):
    assert container_of(head) is not None or refusal_of(head, len(head))


@given(st.text(alphabet=st.characters(min_codepoint=0x4E00, max_codepoint=0x9FFF), min_size=342, max_size=400))
def test_text_cut_in_a_character_is_still_text(text: str):
    assert "a text file" in refusal_of(text.encode()[:HEAD_BYTES], 5000)
