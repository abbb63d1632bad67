"""What the names in a pickle mean: what it may call, what only an attack asks for, what stands in for all else."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from export.checkpoints.containers.numpy_arrays import Array, Dtype, encoded, no_bytes, scalar
from export.checkpoints.containers.storages import rebuild_parameter, rebuild_tensor

_SCALARS: Final = (str, bytes, int, float, bool, type(None))
# A dictionary hashes its keys: long integers and nested tuples take as long as a hostile file likes.
_KEY_BITS: Final = 64
_KEY_ITEMS: Final = 16


# Modules that run code, open files, talk to the network or reach other names; matched with all that lies below them.
_FORBIDDEN: Final = re.compile(
    r"""(
    # processes, files, network
    os | nt | posix | posixpath | _posixsubprocess | subprocess | commands | popen2 | pty | platform | shutil |
    tempfile | signal | socket | _socket | ssl | http | urllib | ftplib | smtplib | telnetlib | xmlrpc | requests |
    webbrowser | multiprocessing | asyncio | threading | _thread | io | _io | mmap | ctypes | sqlite3 | shelve |
    linecache |
    # code and names
    sys | importlib | imp | runpy | pkgutil | zipimport | site | code | codeop | compileall | py_compile | inspect |
    operator | gc | bdb | pdb | profile | cProfile | pstats | timeit | trace | unittest | pydoc | distutils |
    ensurepip | pip | venv | types\.(CodeType|FunctionType|LambdaType|MethodType) | functools\.reduce |
    # unpicklers
    pickle | _pickle | marshal | dill | cloudpickle | joblib | jsonpickle |
    torch\.load | torch\.serialization\.load | torch\.storage\._load_from_bytes | torch\.hub | torch\.jit |
    torch\.package | torch\.utils\.cpp_extension | torch\.fx\.graph_module\.reduce_\w+ |
    numpy\.load | numpy\.testing | numpy\.f2py
    )(\..*)?""",
    re.VERBOSE | re.DOTALL,
)
_BUILTINS: Final = ("builtins", "__builtin__", "__builtins__")
# Types, and getattr: mmengine's own checkpoints ask for it (methods of HistoryBuffer, pickle protocol 2). Like every
# name that means nothing to us it becomes a stand-in, and what it was to be applied to is a stand-in, too.
_HARMLESS_BUILTINS: Final = re.compile(
    r"getattr|bool|bytearray|bytes|complex|dict|float|frozenset|int|list|long|object|range|xrange|set|slice|str|tuple|"
    r"unicode|[A-Z]\w*"  # exceptions
)


@dataclass(frozen=True, slots=True, eq=False)
class StandIn:
    """A class or function that means nothing here."""

    name: str


@dataclass(frozen=True, slots=True, eq=False)
class Inert:
    """What a stand-in makes; takes items and state, and forgets them."""

    name: str


class Called:
    """A function that pickles may call; an object without settable attributes, so that no opcode can change it."""

    __slots__ = ("_function",)

    def __init__(self, function: Callable[..., object]) -> None:
        self._function = function

    def __call__(self, *args: object) -> object:
        """Call it."""
        return self._function(*args)


def called(module: str, name: str) -> Called | None:
    """The function that a name in a pickle means, or None."""
    return _CALLED.get((module, name))


def is_forbidden(module: str, name: str) -> bool:
    """Whether a name serves to run code, open files or reach other names.

    Args:
        module: dotted, as the pickle spells it (Python 2 or 3).
        name: inside the module, possibly dotted.
    """
    if module in _BUILTINS:
        return _HARMLESS_BUILTINS.fullmatch(name) is None
    return _FORBIDDEN.fullmatch(f"{module}.{name}") is not None


def to_key(value: object) -> object:
    """A value as a key: itself if it is quick to hash, else something that nothing equals.

    Raises:
        TypeError: it cannot be hashed.
    """
    if type(value) is int and value.bit_length() > _KEY_BITS:
        return Inert("int")
    if isinstance(value, tuple) and not (len(value) <= _KEY_ITEMS and all(_is_short(item) for item in value)):
        return Inert("tuple")
    return value


def _is_short(item: object) -> bool:
    return type(item) in _SCALARS and not (type(item) is int and item.bit_length() > _KEY_BITS)


def _dictionary(items: object = (), *_: object) -> dict[object, object]:
    # Python 2 gave OrderedDict a list of [key, value] lists.
    if not isinstance(items, list | tuple):
        raise TypeError(f"a dictionary of {type(items).__name__}")
    found = {}
    for item in items:
        if not isinstance(item, list | tuple) or len(item) != 2:
            raise TypeError("a dictionary of other things than pairs")
        found[to_key(item[0])] = item[1]
    return found


def _of_numpy(array: object = None, *_: object) -> object:
    """As `_rebuild_device_tensor_from_numpy`; the reader makes tensors of arrays."""
    return array


def _of_type(function: object = None, kind: object = None, args: object = (), *_: object) -> object:
    """As `_rebuild_from_type_v2`: the tensor, without the Python attributes that somebody gave it."""
    if not (isinstance(function, Called) and function in _REBUILDERS) or type(args) is not tuple:
        raise TypeError("a tensor with attributes that is rebuilt by no function of torch")
    return function(*args)


def _size(items: object = (), *_: object) -> tuple[object, ...]:
    if type(items) is not tuple:
        raise TypeError(f"a torch.Size of {type(items).__name__}")
    return items


_TENSOR: Final = Called(rebuild_tensor)
_PARAMETER: Final = Called(rebuild_parameter)
_REBUILDERS: Final = (_TENSOR, _PARAMETER)
_CALLED: Final = {
    ("collections", "OrderedDict"): Called(_dictionary),
    ("torch", "Size"): Called(_size),
    ("torch._utils", "_rebuild_tensor"): _TENSOR,
    ("torch._utils", "_rebuild_tensor_v2"): _TENSOR,
    ("torch._utils", "_rebuild_parameter"): _PARAMETER,
    ("torch._utils", "_rebuild_parameter_with_state"): _PARAMETER,
    # torch.save of torch_npu (torch_npu/utils/storage.py, `_reduce_ex`): a copy on the CPU in the plain layout; the
    # seventh argument, the format on the card (a number, torch_npu's Format, or a bool in old files), is its own.
    ("torch_npu.utils.storage", "_rebuild_npu_tensor"): _TENSOR,
    # Devices without storages of their own, such as privateuse1 backends: the tensor, or its array, on the CPU.
    ("torch._utils", "_rebuild_device_tensor_from_cpu_tensor"): _PARAMETER,
    ("torch._utils", "_rebuild_device_tensor_from_numpy"): Called(_of_numpy),
    # Tensors with attributes: torch/_tensor.py, torch/tensor.py before 1.9.
    ("torch._tensor", "_rebuild_from_type_v2"): Called(_of_type),
    ("torch._tensor", "_rebuild_from_type"): Called(_of_type),
    ("torch.tensor", "_rebuild_from_type"): Called(_of_type),
    ("numpy", "dtype"): Called(Dtype),
    # Bytes in protocol 2: text to be encoded, or bytes() where there are none.
    ("_codecs", "encode"): Called(encoded),
    ("builtins", "bytes"): Called(no_bytes),
    ("numpy.core.multiarray", "scalar"): Called(scalar),
    ("numpy._core.multiarray", "scalar"): Called(scalar),
    ("__builtin__", "bytes"): Called(no_bytes),
    **{
        (f"numpy.{core}.{module}", name): Called(function)
        for core in ("core", "_core")
        for module, name, function in (
            ("multiarray", "_reconstruct", Array),
            ("numeric", "_frombuffer", Array.from_buffer),
        )
    },
}
