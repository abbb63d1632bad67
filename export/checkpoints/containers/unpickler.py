"""A pickle machine that can build plain containers and tensors and nothing else: reading a file runs none of its code.

Three walls, each enough by itself. Names: a pickle asks for classes and functions by name, and only those of
`pickle_names` and the storage classes mean something; names that only an attack would ask for stop the reading, all
others (mmengine's HistoryBuffer, argparse.Namespace, numpy scalars, …) become empty stand-ins. Calls: `REDUCE` and its
relatives call nothing but those. State: `BUILD` fills NumPy arrays and sets no attribute.
"""

import pickle
from collections.abc import Callable
from typing import Any, ClassVar, Final

from detector.errors import CheckpointError
from export.checkpoints.containers.allowance import Allowance
from export.checkpoints.containers.numpy_arrays import Array, Dtype
from export.checkpoints.containers.pickle_machine import ITEM, PickleMachine
from export.checkpoints.containers.pickle_names import Called, Inert, StandIn, called, is_forbidden
from export.checkpoints.containers.storages import Storage, StorageType, UnknownTypeError, storage_type
from export.checkpoints.containers.window import Window

_CALL: Final = 256  # bytes of memory: a tensor, with what torch keeps of it in C++
_ARGUMENTS: Final = 16  # more than any function in a checkpoint takes


class RestrictedUnpickler(PickleMachine):
    """Reads one pickle.

    Args:
        window: positioned at the pickle.
        where: what the window shows, for messages.
        allowance: of the file.
        storage: makes the storage that a persistent id describes; None refuses persistent ids.
    """

    dispatch: ClassVar[dict[int, Callable[[Any], None]]] = dict(PickleMachine.dispatch)

    def __init__(
        self,
        window: Window,
        where: str,
        allowance: Allowance,
        storage: Callable[[tuple[Any, ...]], Storage] | None = None,
    ) -> None:
        super().__init__(window, allowance)
        self._where = where
        self._make_storage = storage

    def find_class(self, module: str, name: str, /) -> Any:
        """What a name in the pickle means here.

        Raises:
            CheckpointError: the name serves to run code.
        """
        if (function := called(module, name)) is not None:
            return function
        if (kind := storage_type(module, name)) is not None:
            return kind
        if is_forbidden(module, name):
            raise CheckpointError(
                f"{self._where}: the pickle inside asks for {f'{module}.{name}'[:120]}, which runs code and no weights "
                "need; nothing was run; do not trust this file, get the weights from their publisher"
            )
        self._charge(4 * (len(module) + len(name)))
        return StandIn(f"{module}.{name}")

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
        self.stack[-1] = self._call(self.stack[-1], args)

    def load_newobj_ex(self) -> None:
        """NEWOBJ_EX: the same; keywords are dropped, for stand-ins and plain types need none."""
        self.stack.pop()
        self.load_reduce()

    def load_obj(self) -> None:
        """OBJ (protocol 0 and 1): the same."""
        items = self.pop_mark()
        self.append(self._call(items[0], tuple(items[1:])))

    def load_inst(self) -> None:
        """INST (protocol 0): the same."""
        module, name = self.readline()[:-1].decode("ascii"), self.readline()[:-1].decode("ascii")
        self.append(self._call(self.find_class(module, name), tuple(self.pop_mark())))

    def load_build(self) -> None:
        """BUILD: the state of arrays and their types; that of other objects is not needed and not set."""
        state = self.stack.pop()
        target = self.stack[-1]
        if isinstance(target, Array | Dtype):
            target.set_state(state)

    def _call(self, function: object, args: object) -> object:
        if type(args) is not tuple:
            raise pickle.UnpicklingError("call arguments that are no tuple")
        if isinstance(function, StandIn):
            return Inert(function.name)
        if not isinstance(function, Called):
            raise pickle.UnpicklingError(f"a call of {type(function).__name__}")
        if len(args) > _ARGUMENTS:
            raise pickle.UnpicklingError(f"a call with {len(args)} arguments")
        self._charge(_CALL + ITEM * sum(len(arg) for arg in args if isinstance(arg, list | tuple)))
        return function(*args)

    dispatch[pickle.REDUCE[0]] = dispatch[pickle.NEWOBJ[0]] = load_reduce
    dispatch[pickle.NEWOBJ_EX[0]] = load_newobj_ex
    dispatch[pickle.OBJ[0]] = load_obj
    dispatch[pickle.INST[0]] = load_inst
    dispatch[pickle.BUILD[0]] = load_build


def storage_id(pid: tuple[Any, ...], length: int) -> tuple[Any, ...]:
    """A persistent id `("storage", type, key, location, count[, view])`, checked."""
    if len(pid) != length or pid[0] != "storage":
        raise ValueError("an unknown kind of reference to outside data")
    _, kind, key, _, count, *_ = pid
    if not isinstance(kind, StorageType):
        raise UnknownTypeError("a tensor inside", kind.name if isinstance(kind, StandIn) else type(kind).__name__)
    if not isinstance(key, str) or type(count) is not int or count < 0:
        raise ValueError("a storage without a name or with a negative size")
    return pid
