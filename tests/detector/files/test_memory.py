import resource
import subprocess
import sys

import pytest

from detector.files import memory


def test_what_no_machine_has_cannot_be_had():
    assert memory.is_short(2**60)
    assert not memory.is_short()
    with pytest.raises(MemoryError, match="1,152,921,504,606,846,976 bytes of address space are needed"):
        memory.require(2**60)
    memory.require(1)


def test_the_limit_of_the_process_counts_and_nothing_is_taken():
    program = """
import resource
from detector.files import memory
size = 2**28
resource.setrlimit(resource.RLIMIT_AS, (size * 3 // 2,) * 2)
print([memory.is_short(size), memory.is_short(size), memory.is_short(size * 2)])
"""
    assert resource.getrlimit(resource.RLIMIT_AS)[1] == resource.RLIM_INFINITY
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "[False, False, True]\n"
