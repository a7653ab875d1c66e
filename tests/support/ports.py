"""Free ports on loopback."""

import socket


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        return server.getsockname()[1]
