"""Numbered requests at a steady rate, whether or not they are answered: `python -m tests.faults.load PORT RATE SECONDS`.

Prints a line for each as it ends: its number, when it was sent, how long it took, and its status or 0.
"""

import asyncio
import signal
import sys
import time
from typing import Final

__all__ = ["Answer", "read_answers"]

TIMEOUT: Final = 30.0
Answer = tuple[int, float, float, int]  # number, Unix time, seconds, status

Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


def read_answers(text: str) -> list[Answer]:
    """What was printed, without a line that was cut off."""
    rows = [line.split() for line in text.splitlines() if line.endswith(";")]
    return [(int(number), float(at), float(took), int(status)) for number, at, took, status, _ in rows]


async def _main(port: int, rate: float, seconds: float) -> None:
    idle: list[Connection] = []
    tasks: set[asyncio.Task[None]] = set()
    began = time.monotonic()
    over = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, over.set)  # what was sent is still answered
    for number in range(int(rate * seconds)):
        if over.is_set():
            break
        await asyncio.sleep(began + number / rate - time.monotonic())
        task = asyncio.create_task(_ask(port, number, idle))
        tasks.add(task)
        task.add_done_callback(tasks.discard)
    await asyncio.gather(*tasks)


async def _ask(port: int, number: int, idle: list[Connection]) -> None:
    at, began, status = time.time(), time.perf_counter(), 0
    try:
        async with asyncio.timeout(TIMEOUT):
            status = await _send(port, number, idle)
    except (OSError, asyncio.IncompleteReadError):
        status = 0
    sys.stdout.write(f"{number} {at:.6f} {time.perf_counter() - began:.6f} {status} ;\n")
    sys.stdout.flush()


async def _send(port: int, number: int, idle: list[Connection]) -> int:
    """The status of one request, which is sent once; a kept connection that has been closed is replaced."""
    while idle and (idle[-1][0].at_eof() or idle[-1][1].is_closing()):
        idle.pop()[1].close()
    reader, writer = idle.pop() if idle else await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(f"GET /work?number={number} HTTP/1.1\r\nHost: app\r\n\r\n".encode())
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
        await reader.readexactly(int(head.partition("content-length:")[2].partition("\r\n")[0] or 0))
    except BaseException:
        writer.close()
        raise
    if "connection: close" in head:
        writer.close()
    else:
        idle.append((reader, writer))
    return int(head.split(None, 2)[1])


if __name__ == "__main__":
    asyncio.run(_main(int(sys.argv[1]), float(sys.argv[2]), float(sys.argv[3])))
