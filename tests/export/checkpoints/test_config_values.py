from typing import Any

import pytest

from detector.files.bounds import CONFIG_VALUES
from export.checkpoints.config_text import SPLAT, UNKNOWN, ConfigError
from export.checkpoints.config_values import config_values


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
