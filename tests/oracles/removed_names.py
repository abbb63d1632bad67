"""Names that frameworks of 2019 and 2020 import and that their libraries have dropped since then."""

import collections
import collections.abc
import sys
from types import ModuleType

import numpy as np
import PIL.Image
import torch


def restore() -> None:
    """Put the names back; what they name is what the libraries themselves call by another name today."""
    six = ModuleType("torch._six")
    vars(six).update(PY3=True, PY37=True, string_classes=(str, bytes), container_abcs=collections.abc, inf=np.inf)
    sys.modules["torch._six"] = torch._six = six
    for name, kind in {"bool": np.bool_, "float": np.float64, "int": np.int64, "object": np.object_}.items():
        if name not in vars(np):
            setattr(np, name, kind)
    for name in ("Mapping", "MutableMapping", "Sequence", "Iterable", "Callable"):
        setattr(collections, name, getattr(collections.abc, name))
    PIL.Image.LINEAR = PIL.Image.BILINEAR
    # Only imported: nothing is downloaded here.
    torch.hub._download_url_to_file = torch.hub.download_url_to_file


def operators(package: str, **implemented: object) -> None:
    """Stand in for the compiled extension `<package>._C`: an operator that is not given fails when it is called.

    Args:
        package: name of the framework's package.
        implemented: operators that inference uses, written in Python.
    """

    def missing(*_: object, **__: object) -> None:
        message = f"an operator of {package}._C that was not compiled was called"
        raise NotImplementedError(message)

    def operator(name: str) -> object:
        if name.startswith("__"):  # what Python itself asks a module for
            raise AttributeError(name)
        return missing

    extension = ModuleType(f"{package}._C")
    extension.__getattr__ = operator
    vars(extension).update(implemented)
    sys.modules[extension.__name__] = extension
