"""Processes: order, errors, interrupts, killed workers."""

import gc
import operator
import os
import signal
import struct
import subprocess
import sys
import threading
import time
from contextlib import closing
from multiprocessing.queues import SimpleQueue
from pathlib import Path

import cv2
import pytest

from detector.errors import DataError, PipelineError
from detector.images.read_image import read_image
from preprocess.pool import core_count, map_ordered, map_with_bar

PRELOAD = "detector.images.read_image"


def test_results_come_in_order_from_several_processes():
    assert list(map_ordered(operator.neg, range(50), workers=2, preload=PRELOAD)) == [-n for n in range(50)]


def test_one_worker_needs_no_other_process():
    here = threading.get_ident()
    assert list(map_ordered(lambda _: threading.get_ident(), [1, 2], workers=1, preload=PRELOAD)) == [here, here]


def test_the_error_of_the_first_failing_item_comes_up(tmp_path: Path):
    paths = [tmp_path / f"{index}.jpg" for index in range(20)]
    with pytest.raises(DataError, match=r"cannot read image .*/0\.jpg"):
        map_with_bar(read_image, paths, workers=2, preload=PRELOAD, label="test")


@pytest.mark.parametrize(("limit", "code"), [(18, 1), (64, 0)])
def test_too_few_files_are_found_before_a_process_dies_of_it(limit: int, code: int):
    program = f"""
import operator, resource
from detector.cli import run
from preprocess.pool import map_ordered
resource.setrlimit(resource.RLIMIT_NOFILE, ({limit}, {limit}))
run(lambda _: print(list(map_ordered(operator.neg, range(50), workers=2, preload={PRELOAD!r}))), [])
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    told = "error: Too many open files for 2 workers; raise `ulimit -n`, or use fewer --workers\n"
    assert (done.returncode, done.stderr) == (code, told if code else "")


def test_a_bounded_look_ahead_keeps_the_order():
    results = map_ordered(operator.neg, range(50), workers=2, preload=PRELOAD, ahead=3)
    assert list(results) == [-n for n in range(50)]


def test_no_more_is_worked_on_than_may_wait(tmp_path: Path):
    paths = [tmp_path / str(index) for index in range(20)]
    with closing(map_ordered(Path.touch, paths, workers=2, preload=PRELOAD, ahead=3)) as results:
        for _ in range(4):
            next(results)
        time.sleep(0.2)  # for what should not happen
        assert {path.name for path in tmp_path.iterdir()} <= set("0123456")


@pytest.mark.parametrize("ahead", [None, 2])
def test_a_killed_worker_is_an_error_with_a_next_step(ahead: int | None):
    with pytest.raises(PipelineError, match=r"a worker process was killed .*fewer than 2 workers"):
        list(map_ordered(os._exit, [9, 9, 9], workers=2, preload=PRELOAD, ahead=ahead))


def test_a_worker_that_is_killed_while_it_sends_keeps_nobody_waiting(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("preprocess.pool.LOOK_AFTER", 0.05)
    with pytest.raises(PipelineError, match="a worker process was killed"):
        list(map_ordered(_send_half, range(4), workers=2, preload=PRELOAD, ahead=4))


def _send_half(number: int) -> int:
    """Of one result a part, with the lock in hand that the other workers need to send theirs."""
    if number == 1:
        queue = next(each for each in gc.get_objects() if isinstance(each, SimpleQueue))
        queue._wlock.acquire()
        os.write(queue._writer.fileno(), struct.pack("!i", 100_000) + bytes(50))
        os._exit(9)
    return number


def test_workers_use_one_thread_each():
    assert set(map_ordered(_cv2_threads, range(8), workers=2, preload=PRELOAD)) == {1}


def test_an_interrupt_while_processes_start_comes_up_afterwards(monkeypatch: pytest.MonkeyPatch):
    from preprocess import pool

    reached = []

    class Executor(pool.ProcessPoolExecutor):
        def map(self, *args, **kwargs):
            signal.raise_signal(signal.SIGINT)
            results = super().map(*args, **kwargs)
            reached.append("started")
            return results

        def shutdown(self, *args, **kwargs):
            super().shutdown(*args, **kwargs)
            reached.append("stopped")

    monkeypatch.setattr(pool, "ProcessPoolExecutor", Executor)
    with (
        closing(map_ordered(operator.neg, range(8), workers=2, preload=PRELOAD)) as results,
        pytest.raises(KeyboardInterrupt),
    ):
        next(results)
    assert reached == ["started", "stopped"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_the_core_count_respects_the_affinity_mask():
    before = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {min(before)})
        assert core_count() == 1
    finally:
        os.sched_setaffinity(0, before)


def _cv2_threads(_: int) -> int:
    return cv2.getNumThreads()


def test_no_thread_for_the_executor_is_an_error_before_any_process(monkeypatch: pytest.MonkeyPatch):
    def start(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", start)
    with pytest.raises(PipelineError, match=r"not enough memory, .* to start 2 workers .*run again with --workers 1"):
        map_with_bar(abs, [1, 2, 3], workers=2, preload="detector.images.read_image", label="test")


def test_a_temporary_folder_too_deep_for_a_socket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    deep = tmp_path / ("d" * 100)
    deep.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(deep))
    assert map_with_bar(abs, [-1, -2, -3], workers=2, preload="detector.images.read_image", label="test") == [1, 2, 3]


@pytest.mark.parametrize(("number", "code"), [(signal.SIGHUP, 129), (signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_to_the_whole_group_is_one_line(tmp_path: Path, number: signal.Signals, code: int):
    """As a closed terminal, a service manager or Ctrl-C send it: the helpers of multiprocessing get it too."""
    program = f"""
import os, signal
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it
from detector.cli import run
from preprocess.pool import map_with_bar
work = ["touch {tmp_path / "started"}; sleep 0.1"] * 300
run(lambda _: map_with_bar(os.system, work, workers=2, preload="detector.errors", label="test") and None, [])
"""
    command = [sys.executable, "-c", program]
    root = Path(__file__).resolve().parents[2]
    with subprocess.Popen(command, cwd=root, stderr=subprocess.PIPE, text=True, start_new_session=True) as process:
        while not (tmp_path / "started").exists():
            assert process.poll() is None
            time.sleep(0.01)
        os.killpg(process.pid, number)
        assert process.stderr is not None
        said = process.stderr.read()
    assert said.count("\n") == 1, said
    assert process.returncode == code
