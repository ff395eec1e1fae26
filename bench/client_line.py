"""A network line between a client and an index on the same machine: with a delay, a rate and nothing lost.

Without it, a benchmark on one machine compares what two processors do, and an install waits for processors only.
Users wait for their network. Each connection is delayed both ways and by one round trip for its beginning; all of them
share the rate towards the client. Run as a program it prints its port: the relay has a process of its own.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

PIECE_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class Line:
    """What a network between two places does."""

    round_trip_seconds: float
    bytes_per_second: float

    def __str__(self) -> str:
        return f"{self.bytes_per_second * 8 / 1e6:.0f} Mbit/s, {self.round_trip_seconds * 1000:.0f} ms"


@contextmanager
def line_to(url: str, line: Line) -> Iterator[str]:
    """The address of the same index at the other end of a line."""
    parts = urlsplit(url)
    command = [
        sys.executable,
        str(Path(__file__)),
        str(parts.port),
        str(line.round_trip_seconds),
        str(line.bytes_per_second),
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as relay:
        try:
            port = relay.stdout.readline().strip() if relay.stdout is not None else ""
            if not port:
                raise RuntimeError("the relay did not start")
            yield urlunsplit(parts._replace(netloc=f"{parts.hostname}:{port}"))
        finally:
            relay.terminate()


class Relay:
    """The line, for as many connections as come."""

    def __init__(self, port: int, line: Line) -> None:
        self._port = port
        self._line = line
        self._free_at = 0.0  # when the line has sent all that was given to it so far

    async def serve(self) -> None:
        """Until the process is ended."""
        server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        print(server.sockets[0].getsockname()[1], flush=True)
        await server.serve_forever()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(self._line.round_trip_seconds)
        there, back = await asyncio.open_connection("127.0.0.1", self._port)
        await asyncio.gather(self._pass(reader, back, limited=False), self._pass(there, writer, limited=True))

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, limited: bool) -> None:
        """Reading goes on while pieces are on their way, as far as the line's rate has room."""
        loop, under_way = asyncio.get_running_loop(), asyncio.Queue[tuple[float, bytes]]()
        sender = asyncio.create_task(_deliver(under_way, writer))
        while piece := await _read(reader):
            now = loop.time()
            sent_at = now
            if limited:
                sent_at = self._free_at = max(now, self._free_at) + len(piece) / self._line.bytes_per_second
            under_way.put_nowait((sent_at + self._line.round_trip_seconds / 2, piece))
            await asyncio.sleep(max(0.0, sent_at - now))
        under_way.put_nowait((0.0, b""))
        await sender


async def _read(reader: asyncio.StreamReader) -> bytes:
    try:
        return await reader.read(PIECE_BYTES)
    except ConnectionError:
        return b""


async def _deliver(under_way: asyncio.Queue[tuple[float, bytes]], writer: asyncio.StreamWriter) -> None:
    loop = asyncio.get_running_loop()
    while True:
        arrives_at, piece = await under_way.get()
        if not piece:
            writer.close()
            return
        await asyncio.sleep(max(0.0, arrives_at - loop.time()))
        writer.write(piece)


if __name__ == "__main__":
    asyncio.run(Relay(int(sys.argv[1]), Line(float(sys.argv[2]), float(sys.argv[3]))).serve())
