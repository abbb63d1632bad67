from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from detector.files.bounds import CONFIG_VALUES
from export.checkpoints.dialects.mmdet.config_text import SPLAT, UNKNOWN, ConfigError
from export.checkpoints.dialects.mmdet.config_values import config_values
from export.checkpoints.reader import read_checkpoint


def test_plain_values_are_kept_and_others_are_unknown():
    document = {"a": [1, (2.5, None), {"b": True}], "c": object(), 3: "x", "d": {"e": {1, 2}}}
    wanted: dict[str, Any] = {"a": [1, (2.5, None), {"b": True}], "c": UNKNOWN, "d": {"e": UNKNOWN}, SPLAT: UNKNOWN}
    assert config_values(document) == wanted


def test_circles_and_billions_are_refused(monkeypatch):
    circle: dict[str, Any] = {}
    circle["again"] = circle
    with pytest.raises(ConfigError, match="more than 100 containers in each other"):
        config_values(circle)
    monkeypatch.setenv(CONFIG_VALUES.variable, "100")
    laugh: list[Any] = [0, 0]
    for _ in range(50):
        laugh = [laugh, laugh]
    with pytest.raises(ConfigError, match=f"more than 100 values.*{CONFIG_VALUES.variable}"):
        config_values({"laugh": laugh})


@pytest.mark.parametrize(
    ("saved", "read"),
    [
        (np.float64(0.6), 0.6),
        (np.float32(0.5), 0.5),
        (np.int64(-1000), -1000),
        (np.bool_(True), True),
        (np.dtype(">i4").type(7), 7),
        (np.str_("cv2"), UNKNOWN),
        (np.complex64(1), UNKNOWN),
        (torch.tensor([1.0, 2.0]), [1.0, 2.0]),
        (torch.tensor(3), 3),
        (torch.ones(65), UNKNOWN),
        (torch.nn.GroupNorm, "torch.nn.modules.normalization.GroupNorm"),
    ],
)
def test_numbers_of_numpy_and_torch_and_names_of_classes_are_values(tmp_path: Path, saved: Any, read: Any):
    path = tmp_path / "config.pth"
    torch.save({"state_dict": {"a.weight": torch.ones(1)}, "meta": {"cfg": {"model": {"part": {"key": saved}}}}}, path)
    found = config_values(read_checkpoint(path).meta["cfg"])["model"]["part"]["key"]  # type: ignore[arg-type]
    assert found == read
    assert type(found) is type(read)
