"""Bins of several canvases: a folder with one folder for each."""

from typing import Annotated, Literal

import pydantic
from pydantic import Field

from detector.geometry import Size
from detector.spec import DetectorSpec

# The folder of a canvas, as `Size` is printed. ais_bench runs one folder at one gear, so canvases cannot share one.
FOLDER_PATTERN = r"^[0-9]+x[0-9]+$"


class CanvasFolders(pydantic.BaseModel):
    """What lies above bins of several canvases: the names of their folders; written after the manifests of all."""

    model_config = pydantic.ConfigDict(frozen=True, extra="forbid")

    format: Literal["omline-canvases-1"] = "omline-canvases-1"
    folders: Annotated[
        tuple[Annotated[str, Field(pattern=FOLDER_PATTERN, max_length=16)], ...], Field(min_length=1, max_length=1000)
    ]

    @pydantic.field_validator("folders")
    @classmethod
    def _folders_differ(cls, folders: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(folders)) < len(folders):
            raise ValueError("a folder is listed twice")
        return folders


def folder_of(canvas: Size, spec: DetectorSpec) -> str:
    """Name of the folder for the bins of one canvas of a spec; "", the folder itself, if it has but one."""
    return str(canvas) if len(spec.canvases) > 1 else ""
