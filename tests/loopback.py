"""Servers on this machine that tests ask, or that nobody may ask."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from socketserver import BaseServer


@contextmanager
def listener() -> Iterator[tuple[str, list[bool]]]:
    """An HTTP address on this machine, and a list that grows with every connection; it hangs up."""
    knocks: list[bool] = []
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.05)
        done = threading.Event()

        def serve() -> None:
            while not done.is_set():
                with suppress(TimeoutError):
                    connection, _ = server.accept()
                    knocks.append(True)
                    connection.close()

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.getsockname()[1]}", knocks
        finally:
            done.set()
            thread.join()


@contextmanager
def answering(server: BaseServer) -> Iterator[None]:
    """The server answers in a thread as long as the block lasts."""
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join()
