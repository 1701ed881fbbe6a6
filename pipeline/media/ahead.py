"""Work ahead in a thread: the next frames are prepared while the encoder is busy with this one."""

import queue
import threading
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from typing import Final, TypeVar

T = TypeVar("T")

FRAMES_AHEAD: Final = 4
POLL_SECONDS: Final = 0.1


@contextmanager
def ahead(parts: Iterable[T]) -> Iterator[Generator[T]]:
    """The same parts in the same order, made in another thread, at most `FRAMES_AHEAD` early.

    An exception of `parts` is raised where its part would have come. The thread ends with the block.
    """
    line: queue.Queue[tuple[T | None, BaseException | None]] = queue.Queue(FRAMES_AHEAD)
    stopped = threading.Event()

    def put(part: T | None, error: BaseException | None) -> bool:
        while not stopped.is_set():
            try:
                line.put((part, error), timeout=POLL_SECONDS)
            except queue.Full:
                continue
            return True
        return False

    def work() -> None:
        try:
            for part in parts:
                if not put(part, None):
                    return
            put(None, None)
        except BaseException as error:  # noqa: BLE001 - raised again by the reader
            put(None, error)

    def read() -> Generator[T]:
        while True:
            part, error = line.get()
            if error is not None:
                raise error
            if part is None:
                return
            yield part

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    try:
        yield read()
    finally:
        stopped.set()
        thread.join()
