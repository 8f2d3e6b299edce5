"""All of the fuzz, two processes at a time; exits with 1 for any finding.

python -m tests.fuzz
"""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Final

CALLS: Final = [("tests.fuzz.run", "--calls", "250000", "--seed", str(seed)) for seed in range(4)]
REQUESTS: Final = [("tests.fuzz.requests", "50000", str(seed)) for seed in range(2)]
KINDS: Final = ("signal", "finaliser", "weakref", "fork", "exit")
TRIES: Final = [("tests.fuzz.interruptions", kind, "10000") for kind in KINDS]


def run(command: tuple[str, ...]) -> bool:
    """Print what one part says, and return whether it found nothing."""
    result = subprocess.run([sys.executable, "-m", *command], capture_output=True, text=True, check=False)
    sys.stdout.write(f"{' '.join(command)}: exit code {result.returncode}\n{result.stdout[-5000:]}{result.stderr[-5000:]}\n")
    sys.stdout.flush()
    return result.returncode == 0


if __name__ == "__main__":
    with ThreadPoolExecutor(2) as pool:
        raise SystemExit(not all(list(pool.map(run, [*CALLS, *REQUESTS, *TRIES]))))
