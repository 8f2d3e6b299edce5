"""A network between the app and the Collector that can be made bad: `python -m tests.faults.proxy PORT TARGET FILE`.

FILE holds how bad: `pass`, `hole` (nothing gets through and nothing is refused), `slow` (2 s each way), `lossy` (a fifth of
what is sent arrives as late as TCP's second or third attempt brings it), `reset` (connections are cut, new ones as well).
"""

import asyncio
import random
import socket
import struct
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

__all__ = ["MODES"]

MODES: Final = ("pass", "hole", "slow", "lossy", "reset")
_CHUNK: Final = 16_384
_LOOK: Final = 0.05  # seconds


async def _main(port: int, target: int, file: Path) -> None:
    def mode() -> str:
        return file.read_text(encoding="utf-8").strip() or "pass"

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while mode() == "hole":
            await asyncio.sleep(_LOOK)
        if mode() == "reset":
            _cut(writer)
            return
        try:
            onward = await asyncio.open_connection("127.0.0.1", target)
        except OSError:
            _cut(writer)
            return
        ends = (writer, onward[1])
        await asyncio.gather(_pump(reader, onward[1], ends, mode), _pump(onward[0], writer, ends, mode))

    async with await asyncio.start_server(serve, "127.0.0.1", port) as server:
        await server.serve_forever()


async def _pump(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, ends: Sequence[asyncio.StreamWriter], mode: Callable[[], str]
) -> None:
    """Pass on what comes, in order, each part as late as it would be."""
    queue: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()

    async def deliver() -> None:
        while True:
            due, data = await queue.get()
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            while mode() == "hole":
                await asyncio.sleep(_LOOK)
            writer.write(data)
            await writer.drain()
            if not data:
                return

    delivering = asyncio.create_task(deliver())
    try:
        while True:
            reading = asyncio.create_task(reader.read(_CHUNK))
            while not reading.done():
                await asyncio.wait([reading], timeout=_LOOK)
                if mode() == "reset":
                    reading.cancel()
                    raise ConnectionResetError
            data = reading.result()
            if not data:
                break
            await queue.put((time.monotonic() + _delay(mode()), data))
        while not queue.empty():
            await asyncio.sleep(_LOOK)
    except OSError:
        pass
    finally:
        delivering.cancel()
        for end in ends:
            if mode() == "reset":
                _cut(end)
            else:
                end.close()


def _delay(mode: str) -> float:
    if mode == "slow":
        return 2.0
    delay, wait = 0.0, 0.2  # TCP's first time-out on a fast network, doubled at each
    while mode == "lossy" and random.random() < 0.2:
        delay, wait = delay + wait, wait * 2
    return delay


def _cut(writer: asyncio.StreamWriter) -> None:
    """Close with a reset."""
    connection = writer.get_extra_info("socket")
    if connection is not None and connection.fileno() >= 0:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.close()


if __name__ == "__main__":
    asyncio.run(_main(int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3])))
