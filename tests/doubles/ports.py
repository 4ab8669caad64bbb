"""Ports of this machine, for tests that start several processes."""

import socket


def free_port() -> int:
    """A port that nobody listens to just now."""
    with socket.socket() as one:
        one.bind(("localhost", 0))
        return one.getsockname()[1]
