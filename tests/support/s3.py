"""An S3 server on loopback, behind a line that can be cut.

The server is `moto`'s, in memory and in this process. Clients reach it through a proxy, which can
break off while something is being sent, as a server that is stopped does. What arrived of it until
then is thrown away, as S3 does: moto would take a half for the whole.
"""

from __future__ import annotations

import logging
import os
import socket
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from support.ports import free_port

ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_EC2_METADATA_DISABLED": "true",
}


class S3Server:
    """A bucket named `bucket`.

    Attributes:
        cut_at: what a request must begin with to have the line cut while it is sent; from then on
            nobody gets through, until `mend`.
        requests: the first line of every request that came through.
    """

    def __init__(self, port: int) -> None:
        self._port = port
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._listening.getsockname()[1]}"
        self.cut_at: bytes | None = None
        self.is_cut = False
        self.requests: list[str] = []
        threading.Thread(target=self._listen, daemon=True).start()

    def url(self, prefix: str) -> str:
        """A folder in the bucket."""
        options = f"endpoint_override={self.address}&scheme=http&region=us-east-1"
        return f"s3://bucket/{prefix}?{options}"

    def mend(self) -> None:
        """Let everybody through again."""
        self.cut_at, self.is_cut = None, False

    def close(self) -> None:
        """Listen no more."""
        self._listening.close()

    def _listen(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listening.accept()
                if self.is_cut:
                    client.close()
                    continue
                server = socket.create_connection(("127.0.0.1", self._port))
                pairs = ((client, server, True), (server, client, False))
                for pair in pairs:
                    threading.Thread(target=self._carry, args=pair, daemon=True).start()

    def _carry(self, source: socket.socket, sink: socket.socket, is_request: bool) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                if self.is_cut:
                    break
                if is_request and data.split(b" ", 1)[0] in (b"PUT", b"GET", b"HEAD", b"POST"):
                    self.requests.append(data.split(b"\r\n", 1)[0].decode())
                    if self.cut_at and data.startswith(self.cut_at):
                        self.is_cut = True
                        break
                sink.sendall(data)
        for end in (source, sink):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()


@contextmanager
def s3_server() -> Iterator[S3Server]:
    """A server with its bucket, gone at the end; the environment holds credentials meanwhile."""
    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    port = free_port()
    moto = ThreadedMotoServer(ip_address="127.0.0.1", port=port, verbose=False)
    moto.start()
    bucket = urllib.request.Request(f"http://127.0.0.1:{port}/bucket", method="PUT")
    urllib.request.urlopen(bucket).close()
    before = {name: os.environ.get(name) for name in ENVIRONMENT}
    os.environ.update(ENVIRONMENT)
    server = S3Server(port)
    try:
        yield server
    finally:
        server.close()
        moto.stop()
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})
