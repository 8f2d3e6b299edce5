"""What a forked child does, seen by a test."""

import json
import os
import traceback
import warnings
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def in_a_fork(act: Callable[[], T]) -> T:
    """What `act` returns in a forked child, by way of JSON; a failure there fails here with its traceback."""
    read, write = os.pipe()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*multi-threaded", DeprecationWarning)  # Python 3.12: it is the case tested
        child = os.fork()
    if not child:
        os.close(read)
        try:
            answer = {"returned": act()}
        except BaseException:
            answer = {"failed": traceback.format_exc()}  # type: ignore[dict-item]  # text
        os.write(write, json.dumps(answer).encode())
        os._exit(0)
    os.close(write)
    with os.fdopen(read) as pipe:
        text = pipe.read()
    os.waitpid(child, 0)
    answer = json.loads(text)
    assert "failed" not in answer, answer["failed"]
    returned: T = answer["returned"]
    return returned
