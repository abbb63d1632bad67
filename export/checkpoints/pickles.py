"""A pickle machine that can build plain containers and tensors and nothing else: reading a file runs none of its code.

Three walls, each enough by itself. Names: a pickle asks for classes and functions by name, and only those in `_CALLED`
and the storage classes mean something; names that only an attack would ask for stop the reading, all others (mmengine's
HistoryBuffer, argparse.Namespace, numpy scalars, …) become empty stand-ins. Calls: `REDUCE` and its relatives call
nothing but those. State: `BUILD` sets no attribute, and only lists, dictionaries and sets take items.

The machine is the one in pickle.py, not its C twin: the C one allocates whatever memo index a damaged byte names.
"""

import pickle
import struct
from collections.abc import Callable
from typing import Any, BinaryIO, ClassVar, Final

from detector.errors import CheckpointError
from export.checkpoints.pickle_names import is_forbidden
from export.checkpoints.storages import Storage, rebuild_parameter, rebuild_tensor, storage_type

# What damaged pickle bytes make pickle.py, our checks and torch's shape checks raise; all else is our bug.
DAMAGE: Final = (
    pickle.UnpicklingError,
    EOFError,
    struct.error,
    ValueError,  # includes UnicodeDecodeError
    TypeError,
    LookupError,
    AttributeError,
    OverflowError,
    MemoryError,
    RuntimeError,  # torch's checks of shapes and strides; includes RecursionError
    AssertionError,  # pickle.py's own
)


class Inert:
    """Stand-in for an object of a class that reading does not need; swallows what pickles do to objects."""

    name = "unknown"

    def __init__(self, *args: object) -> None: ...
    def __setitem__(self, key: object, value: object) -> None: ...
    def append(self, value: object) -> None:
        """Swallow a list item."""

    def extend(self, values: object) -> None:
        """Swallow list items."""

    def add(self, value: object) -> None:
        """Swallow a set item."""


class RestrictedUnpickler(pickle._Unpickler):
    """Reads one pickle from a stream.

    Args:
        stream: positioned at the pickle; its `read(n)` must not allocate more than is there (BytesIO and mmap do not).
        where: what the stream is, for messages.
        storage: makes the storage that a persistent id describes; None refuses persistent ids.
    """

    stack: list[Any]
    append: Callable[[object], None]
    readline: Callable[[], bytes]
    pop_mark: Callable[[], list[Any]]
    dispatch: ClassVar[dict[int, Callable[[Any], None]]] = dict(pickle._Unpickler.dispatch)

    def __init__(
        self, stream: BinaryIO, where: str, storage: Callable[[tuple[Any, ...]], Storage] | None = None
    ) -> None:
        # Python 2 wrote names as byte strings: latin1 reads any of them, and all real names are ASCII.
        super().__init__(stream, encoding="latin1")
        self._where = where
        self._make_storage = storage
        self._stand_ins: dict[tuple[str, str], type[Inert]] = {}

    def find_class(self, module: str, name: str, /) -> Any:
        """What a name in the pickle means here.

        Raises:
            CheckpointError: the name serves to run code.
        """
        key = (module, name)
        if key in _CALLED:
            return _CALLED[key]
        if (kind := storage_type(module, name)) is not None:
            return kind
        if is_forbidden(module, name):
            raise CheckpointError(
                f"{self._where}: the pickle inside asks for {module}.{name}, which runs code and no weights need; "
                "nothing was run; do not trust this file, get the weights from their publisher"
            )
        if key not in self._stand_ins:
            # A class of its own per name and per reading: whatever a pickle does to it ends with this reading.
            self._stand_ins[key] = type("StandIn", (Inert,), {"name": f"{module}.{name}"})
        return self._stand_ins[key]

    def persistent_load(self, pid: Any) -> Storage:
        """The storage that a persistent id describes."""
        if self._make_storage is None or not isinstance(pid, tuple):
            raise pickle.UnpicklingError(f"a reference to outside data of type {type(pid).__name__}")
        return self._make_storage(pid)

    def get_extension(self, code: int) -> None:
        """Extension codes name classes that this process has registered: not ours to give."""
        raise pickle.UnpicklingError(f"extension code {code}")

    def load_reduce(self) -> None:
        """REDUCE: call, but only what `find_class` gave."""
        args = self.stack.pop()
        self.stack[-1] = _call(self.stack[-1], args)

    def load_newobj_ex(self) -> None:
        """NEWOBJ_EX: the same; keywords are dropped, for stand-ins and plain types need none."""
        self.stack.pop()
        self.load_reduce()

    def load_obj(self) -> None:
        """OBJ (protocol 0 and 1): the same."""
        items = self.pop_mark()
        self.append(_call(items[0], tuple(items[1:])))

    def load_inst(self) -> None:
        """INST (protocol 0): the same."""
        module, name = self.readline()[:-1].decode("ascii"), self.readline()[:-1].decode("ascii")
        self.append(_call(self.find_class(module, name), tuple(self.pop_mark())))

    def load_build(self) -> None:
        """BUILD: state of objects is not needed and not set."""
        self.stack.pop()
        if not self.stack:
            raise pickle.UnpicklingError("the state of no object")

    def load_setitem(self) -> None:
        """SETITEM: of dictionaries only."""
        value, key = self.stack.pop(), self.stack.pop()
        self._container(dict)[key] = value

    def load_setitems(self) -> None:
        """SETITEMS: of dictionaries only."""
        items = self.pop_mark()
        target = self._container(dict)
        for key, value in zip(items[::2], items[1::2], strict=True):
            target[key] = value

    def load_append(self) -> None:
        """APPEND: to lists only."""
        value = self.stack.pop()
        self._container(list).append(value)

    def load_appends(self) -> None:
        """APPENDS: to lists only."""
        items = self.pop_mark()
        self._container(list).extend(items)

    def load_additems(self) -> None:
        """ADDITEMS: to sets only."""
        items = self.pop_mark()
        target = self._container(set)
        for item in items:
            target.add(item)

    def _container(self, kind: type) -> Any:
        """The object on top of the stack, if it takes items."""
        target = self.stack[-1]
        if type(target) is not kind and not isinstance(target, Inert):
            raise pickle.UnpicklingError(f"items for a {type(target).__name__}, expected a {kind.__name__}")
        return target

    def load_refused(self) -> None:
        """Out-of-band buffers, preallocated byte arrays, Python 2 literals: absent from checkpoints."""
        raise pickle.UnpicklingError("an opcode that checkpoints do not use")

    dispatch[pickle.REDUCE[0]] = dispatch[pickle.NEWOBJ[0]] = load_reduce
    dispatch[pickle.NEWOBJ_EX[0]] = load_newobj_ex
    dispatch[pickle.OBJ[0]] = load_obj
    dispatch[pickle.INST[0]] = load_inst
    dispatch[pickle.BUILD[0]] = load_build
    dispatch[pickle.SETITEM[0]] = load_setitem
    dispatch[pickle.SETITEMS[0]] = load_setitems
    dispatch[pickle.APPEND[0]] = load_append
    dispatch[pickle.APPENDS[0]] = load_appends
    dispatch[pickle.ADDITEMS[0]] = load_additems
    dispatch[pickle.BYTEARRAY8[0]] = dispatch[pickle.STRING[0]] = load_refused
    dispatch[pickle.NEXT_BUFFER[0]] = dispatch[pickle.READONLY_BUFFER[0]] = load_refused


class _Called:
    """A function that pickles may call; an object without settable attributes, so that no opcode can change it."""

    __slots__ = ("_function",)

    def __init__(self, function: Callable[..., object]) -> None:
        self._function = function

    def __call__(self, *args: object) -> object:
        return self._function(*args)


def _call(function: object, args: object) -> object:
    if not isinstance(args, tuple):
        raise pickle.UnpicklingError("call arguments that are no tuple")
    if isinstance(function, _Called) or (isinstance(function, type) and issubclass(function, Inert)):
        return function(*args)
    raise pickle.UnpicklingError(f"a call of {type(function).__name__}")


_CALLED: Final = {
    ("collections", "OrderedDict"): _Called(dict),
    ("torch", "Size"): _Called(tuple),
    ("torch._utils", "_rebuild_tensor"): _Called(rebuild_tensor),
    ("torch._utils", "_rebuild_tensor_v2"): _Called(rebuild_tensor),
    ("torch._utils", "_rebuild_parameter"): _Called(rebuild_parameter),
    ("torch._utils", "_rebuild_parameter_with_state"): _Called(rebuild_parameter),
}
