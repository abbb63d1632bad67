"""What the names in a pickle mean: which ones only an attack asks for."""

import re
from typing import Final

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


def is_forbidden(module: str, name: str) -> bool:
    """Whether a name serves to run code, open files or reach other names.

    Args:
        module: dotted, as the pickle spells it (Python 2 or 3).
        name: inside the module, possibly dotted.
    """
    if module in _BUILTINS:
        return _HARMLESS_BUILTINS.fullmatch(name) is None
    return _FORBIDDEN.fullmatch(f"{module}.{name}") is not None
