"""The pickle machine without names and calls: stack, texts and containers, each charged to the file's allowance.

It is the one in pickle.py, not its C twin: the C one allocates whatever memo index a damaged byte names. What differs
from pickle.py: memory is charged before it is taken, bytes stay in the file, frames are not copied, only lists,
dictionaries and sets take items, and no key is hashed that takes long to hash.
"""

import pickle
from collections.abc import Callable, Iterable
from typing import Any, ClassVar, Final

import numpy as np

from export.checkpoints.containers.allowance import Allowance
from export.checkpoints.containers.numpy_arrays import RawBytes
from export.checkpoints.containers.pickle_names import Inert, StandIn, to_key
from export.checkpoints.containers.window import Window

# Bytes of memory that one opcode of 64-bit CPython takes at most, its place on the stack and in a container included.
_COSTS: Final = {
    opcode[0]: cost
    for cost, opcodes in (
        (96, (pickle.TUPLE, pickle.TUPLE1, pickle.TUPLE2, pickle.TUPLE3, pickle.LONG1, pickle.LONG4)),
        (128, (pickle.MARK, pickle.EMPTY_LIST, pickle.LIST)),
        (192, (pickle.PUT, pickle.BINPUT, pickle.LONG_BINPUT, pickle.MEMOIZE)),
        (192, (pickle.SHORT_BINBYTES, pickle.BINBYTES, pickle.BINBYTES8, pickle.BYTEARRAY8)),
        (256, (pickle.EMPTY_DICT, pickle.DICT)),
        (448, (pickle.EMPTY_SET, pickle.FROZENSET)),
        (256, (pickle.GLOBAL, pickle.STACK_GLOBAL, pickle.BINPERSID, pickle.INST)),
        (256, (pickle.REDUCE, pickle.NEWOBJ, pickle.NEWOBJ_EX, pickle.OBJ)),
    )
    for opcode in opcodes
}
_OTHER: Final = 40
_BATCH: Final = 2**14  # opcodes are charged together: one by one would take a tenth of the time of reading
ITEM: Final = 96  # of a dictionary or set, while it grows
_LONGEST_LINE: Final = 2**14  # since protocol 1 only names and decimal numbers stand in lines
_TEXT: Final = 96  # a str without its characters


class PickleMachine(pickle._Unpickler):
    """Reads one pickle without names in it.

    Args:
        window: positioned at the pickle.
        allowance: of the file.
    """

    stack: list[Any]
    metastack: list[list[Any]]
    append: Callable[[object], None]
    readline: Callable[[], bytes]
    pop_mark: Callable[[], list[Any]]
    dispatch: ClassVar[dict[int, Callable[[Any], None]]] = dict(pickle._Unpickler.dispatch)

    def __init__(self, window: Window, allowance: Allowance) -> None:
        super().__init__(window)
        self._window = window
        self._charge = allowance.charge

    def load(self) -> Any:
        """The pickled object.

        Raises:
            Exception: one of `PICKLE_DAMAGE`, or what `find_class` raises.
        """
        self.stack, self.metastack = [], []
        self.append = self.stack.append
        self.read, self.readline = self._window.read, self._charged_line
        next_opcode, dispatch, cost = self._window.byte, self.dispatch, 0
        try:
            while True:
                code = next_opcode()
                cost += _COSTS.get(code, _OTHER)
                if cost > _BATCH:
                    self._charge(cost)
                    cost = 0
                dispatch[code](self)
        except pickle._Stop as stop:  # type: ignore[attr-defined]  # how pickle.py ends
            return stop.value

    def load_frame(self) -> None:
        """FRAME: its bytes are read as they come."""
        size = self._number(8)
        if size > self._window.stop - self._window.position:
            raise EOFError(f"a frame of {size} bytes")

    def load_dict(self) -> None:
        """DICT (protocol 0): its items."""
        items = self.pop_mark()
        self.append({})
        self._set_items(items)

    def load_setitem(self) -> None:
        """SETITEM: of dictionaries only."""
        value, key = self.stack.pop(), self.stack.pop()
        self._set_items([key, value])

    def load_setitems(self) -> None:
        """SETITEMS: of dictionaries only."""
        self._set_items(self.pop_mark())

    def load_append(self) -> None:
        """APPEND: to lists only."""
        self._add(list, list.append, [self.stack.pop()])

    def load_appends(self) -> None:
        """APPENDS: to lists only."""
        self._add(list, list.append, self.pop_mark())

    def load_additems(self) -> None:
        """ADDITEMS: to sets only."""
        items = self.pop_mark()
        self._charge(ITEM * len(items))
        self._add(set, set.add, map(to_key, items))

    def load_frozenset(self) -> None:
        """FROZENSET: its items."""
        items = self.pop_mark()
        self._charge(ITEM * len(items))
        self.append(frozenset(map(to_key, items)))

    def load_text(self, width: int) -> None:
        """BINUNICODE and its relatives: a length of so many bytes, then UTF-8."""
        raw = self._window.read(self._number(width))
        # Up to U+00FF a character takes one byte in memory, beyond that up to four, and as many while it is decoded.
        narrow = raw.isascii() or int(np.frombuffer(raw, np.uint8).max()) < 0xC4
        self._charge(_TEXT + len(raw) * (1 if narrow else 8))
        self.append(raw.decode("utf-8", "surrogatepass"))

    def load_byte_text(self, width: int) -> None:
        """BINSTRING and its relative: a str of Python 2, read as latin-1."""
        raw = self._window.read(self._number(width))
        self._charge(_TEXT + len(raw))
        self.append(raw.decode("latin-1"))

    def load_bytes(self, width: int) -> None:
        """BINBYTES and its relatives: passed over; arrays find them again."""
        size = self._number(width)
        self.append(RawBytes(self._window.skip(size), size))

    def load_integer(self, width: int) -> None:
        """LONG1 and LONG4: of any size, two's complement."""
        raw = self._window.read(self._number(width))
        self._charge(2 * len(raw))
        self.append(int.from_bytes(raw, "little", signed=True))

    def load_refused(self) -> None:
        """Out-of-band buffers, Python 2 literals: absent from checkpoints."""
        raise pickle.UnpicklingError("an opcode that checkpoints do not use")

    def _number(self, width: int) -> int:
        return int.from_bytes(self._window.read(width), "little") if width > 1 else self._window.byte()

    def _charged_line(self) -> bytes:
        line = self._window.readline()
        if len(line) > _LONGEST_LINE:
            raise pickle.UnpicklingError(f"a line of {len(line)} bytes")
        self._charge(8 * len(line))  # what is decoded from it may take four bytes per character, twice
        return line

    def _set_items(self, items: list[Any]) -> None:
        target = self.stack[-1]
        self._charge(ITEM * len(items) // 2)
        if isinstance(target, Inert | StandIn):
            return
        if type(target) is not dict:
            raise pickle.UnpicklingError(f"items for a {type(target).__name__}, expected a dict")
        for key, value in zip(items[::2], items[1::2], strict=True):
            target[to_key(key)] = value

    def _add(self, kind: type, add: Callable[[Any, Any], None], items: Iterable[object]) -> None:
        """Add items to the object on top of the stack, if it takes items."""
        target = self.stack[-1]
        if isinstance(target, Inert | StandIn):
            return
        if type(target) is not kind:
            raise pickle.UnpicklingError(f"items for a {type(target).__name__}, expected a {kind.__name__}")
        for item in items:
            add(target, item)

    dispatch[pickle.FRAME[0]] = load_frame
    dispatch[pickle.DICT[0]] = load_dict
    dispatch[pickle.SETITEM[0]] = load_setitem
    dispatch[pickle.SETITEMS[0]] = load_setitems
    dispatch[pickle.APPEND[0]] = load_append
    dispatch[pickle.APPENDS[0]] = load_appends
    dispatch[pickle.ADDITEMS[0]] = load_additems
    dispatch[pickle.FROZENSET[0]] = load_frozenset
    dispatch[pickle.STRING[0]] = load_refused
    dispatch[pickle.NEXT_BUFFER[0]] = dispatch[pickle.READONLY_BUFFER[0]] = load_refused


def _sized(method: Callable[[PickleMachine, int], None], width: int) -> Callable[[PickleMachine], None]:
    return lambda machine: method(machine, width)


PickleMachine.dispatch |= {
    opcode[0]: _sized(method, width)
    for method, opcodes in (
        (PickleMachine.load_text, {pickle.SHORT_BINUNICODE: 1, pickle.BINUNICODE: 4, pickle.BINUNICODE8: 8}),
        (PickleMachine.load_byte_text, {pickle.SHORT_BINSTRING: 1, pickle.BINSTRING: 4}),
        (PickleMachine.load_bytes, {pickle.SHORT_BINBYTES: 1, pickle.BINBYTES: 4, pickle.BINBYTES8: 8}),
        (PickleMachine.load_bytes, {pickle.BYTEARRAY8: 8}),
        (PickleMachine.load_integer, {pickle.LONG1: 1, pickle.LONG4: 4}),
    )
    for opcode, width in opcodes.items()
}
