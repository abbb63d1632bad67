"""Calls spread over processes: results in order, the first error ends it, nothing outlives the caller."""

import contextlib
import multiprocessing
import os
import signal
import tempfile
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import TypeVar

import cv2
from tqdm import tqdm

from detector.errors import PipelineError
from detector.terminal.signals import ENDING

Item = TypeVar("Item")
Result = TypeVar("Result")

# Images per message to a worker: large enough that messages cost nothing beside 10 ms per image, small enough that an
# interrupt has not long to wait and that the last worker does not work alone for long.
CHUNK = 4
# A socket's path has at most 107 bytes; multiprocessing appends `/pymp-xxxxxxxx/listener-xxxxxxxx`.
SOCKET_FOLDER_MAX = 107 - 33

# Of a ProcessPoolExecutor: the one that looks after the processes, and the one that feeds their queue; ours that looks
# after these; one to spare.
EXECUTOR_THREADS = 4
# Seconds between two looks at whether all workers live. The executor itself finds a dead one at once, mostly.
LOOK_AFTER = 1.0
# Files that the executor opens (queues, the fork server and its socket, a pipe being made), and those of each process:
# the least with which one starts. With fewer the fork server dies, and says so in its own words.
EXECUTOR_FILES = 13
WORKER_FILES = 2


def core_count() -> int:
    """Cores that this process may use; an affinity mask or a container may leave fewer than the machine has."""
    return len(os.sched_getaffinity(0))


def map_with_bar(
    function: Callable[[Item], Result], items: Sequence[Item], *, workers: int | None, preload: str, label: str
) -> list[Result]:
    """All results of `map_ordered`, with a progress bar on a terminal; `workers=None` takes every usable core."""
    # Closed explicitly: after an interrupt outside of it the generator and its workers would live on in the traceback.
    with contextlib.closing(map_ordered(function, items, workers=workers or core_count(), preload=preload)) as results:
        return list(tqdm(results, total=len(items), desc=label, unit="image", disable=None))


def map_ordered(
    function: Callable[[Item], Result], items: Sequence[Item], *, workers: int, preload: str, ahead: int | None = None
) -> Generator[Result, None, None]:
    """Yield `function(item)` for every item, in order; with one worker (or item) in this process.

    Args:
        function: importable or a partial of such, as it is sent to other processes.
        items: what to work on.
        workers: processes.
        preload: module of the function; imported once, before the processes multiply.
        ahead: results that may wait to be taken, for results that are large; None: all of them.

    Raises:
        PipelineError: a worker was killed. An error of the function comes up as it is, that of the first failing item
            whatever the number of workers; when it does, all workers have stopped. Close the generator to be sure of
            that after an error of your own.
    """
    if workers == 1 or len(items) == 1:
        yield from map(function, items)
        return
    done = threading.Event()
    with _interrupts_held():  # the first helper of multiprocessing starts here
        executor = _pool(min(workers, len(items)), preload)
        threading.Thread(target=_end_halves, args=(done, executor), daemon=True).start()
    try:
        if ahead is None:
            with _interrupts_held():
                results = executor.map(function, items, chunksize=CHUNK)
            yield from results
        else:
            yield from _map_ahead(executor, function, items, ahead)
    except (BrokenProcessPool, EOFError, ConnectionError) as error:  # the others: of the fork server
        raise PipelineError(
            f"a worker process was killed (is memory short?); run again with fewer than {workers} workers (--workers)"
        ) from error
    finally:
        try:
            executor.shutdown(wait=True, cancel_futures=True)
        finally:
            done.set()


def _end_halves(done: threading.Event, executor: ProcessPoolExecutor) -> None:
    """End the workers of which one was killed while it sent a result.

    The executor waits for the rest of that result, and the other workers for their turn to send: for ever. It goes on,
    and finds its pool broken, when no process is left that could send the rest.

    Args:
        done: the executor has ended.
        executor: whose processes are looked after; it has no public list of them.
    """
    found = False
    while not done.wait(LOOK_AFTER):
        workers = list((executor._processes or {}).values())
        alive = [process for process in workers if process.is_alive()]
        if found:
            for process in alive:
                process.kill()
            executor._result_queue._writer.close()  # type: ignore[attr-defined]  # ours: the last that could send
        found = len(alive) < len(workers)  # and once more before anything is done, which is mostly the executor's part


def _map_ahead(
    executor: ProcessPoolExecutor, function: Callable[[Item], Result], items: Sequence[Item], ahead: int
) -> Iterator[Result]:
    waiting: deque[Future[Result]] = deque()
    for item in items:
        with _interrupts_held():
            waiting.append(executor.submit(function, item))
        if len(waiting) > ahead:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()


def _require_threads(workers: int) -> None:
    """The executor's own threads: where one cannot be started, it neither works nor ends."""
    enough = threading.Event()
    threads = [threading.Thread(target=enough.wait, daemon=True) for _ in range(EXECUTOR_THREADS)]
    try:
        for thread in threads:
            thread.start()
    except RuntimeError as error:
        raise PipelineError(
            f"not enough memory, or too many processes, to start {workers} workers ({error}); run again with "
            "--workers 1"
        ) from error
    finally:
        enough.set()
        for thread in threads:
            if thread.ident is not None:
                thread.join()


def _require_files(workers: int) -> None:
    """The files of the executor can be opened.

    Raises:
        OSError: they cannot.
    """
    opened: list[int] = []
    try:
        for _ in range(EXECUTOR_FILES + WORKER_FILES * workers):
            opened.append(os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC))
    except OSError as error:
        raise OSError(error.errno, f"{error.strerror} for {workers} workers") from error
    finally:
        for each in opened:
            os.close(each)


def _pool(workers: int, preload: str) -> ProcessPoolExecutor:
    _require_threads(workers)
    _require_files(workers)
    # Forking a process that has threads (a progress bar, a runtime) can deadlock; a fork server has none. Its socket
    # lies in the temporary folder; where that path is too long for one, every process imports for itself.
    long = len(os.fsencode(tempfile.gettempdir())) > SOCKET_FOLDER_MAX
    context = multiprocessing.get_context("spawn" if long else "forkserver")
    context.set_forkserver_preload([__name__, preload])
    return ProcessPoolExecutor(workers, mp_context=context, initializer=_prepare_worker)


@contextlib.contextmanager
def _interrupts_held() -> Iterator[None]:
    """Keep Ctrl-C, SIGTERM and SIGHUP back while processes start.

    It reaches the whole process group, but ending is the parent's decision: the fork server and its children inherit
    the blocked signal. The parent would lose count of a child if it were interrupted while starting it; it is
    interrupted afterwards. Blocking alone does not protect it: the libraries' own threads take signals as well.
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # Python delivers interrupts to the main thread only
        return
    held: list[int] = []
    # SIGTERM stays unblocked in the children: the executor ends them by it.
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGHUP})
    handlers = {
        number: signal.signal(number, lambda number, _: held.append(number))
        for number in (signal.SIGINT, *ENDING)
        if signal.getsignal(number) != signal.SIG_IGN
    }
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        for each, handler in handlers.items():
            signal.signal(each, handler)
        if held:
            signal.raise_signal(held[0])


def _prepare_worker() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # for a fork server that was already there
    cv2.setNumThreads(0)  # the processes are the parallelism
    threading.Thread(target=_exit_with_parent, daemon=True).start()


def _exit_with_parent() -> None:
    """A parent that is killed cannot stop its workers, and they would wait for work for ever."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
