"""What the service listens on."""

import socket

from pipeline.api.server import bind


def test_an_answer_in_two_parts_waits_for_nothing() -> None:
    """Connections have it of their listener: else the second waits until the client has the first."""
    with bind("127.0.0.1", 0) as listening, socket.create_connection(listening.getsockname()):
        with_client, _ = listening.accept()
        with with_client:
            assert with_client.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
