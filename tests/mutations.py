"""Whether the tests notice when a line that keeps telemetry's failures away from an app is taken out.

    python -m tests.mutations [WORD]

Each mutation is made in a copy of the repository, and the tests that are to notice it run there. Exits with 1 when one of
them survives: when those tests still pass. With a word, only the mutations whose name has it. All take about three minutes.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

REPOSITORY: Final = Path(__file__).parents[1]
COPIED: Final = ("otel_tutor", "tests", "collector", "alerts", "dashboards", "pyproject.toml", "README.md", "compose.yaml")
BOUNDARY: Final = "tests/test_guard.py tests/recording/test_guard.py"
UPSTREAM: Final = "tests/pipeline/test_upstream.py"
PASSED, FAILED = 0, 1  # pytest's exit codes; any other is an error of the mutation itself

ENDS_WHATEVER_FAILS: Final = "        finally:\n            attempt(self.span.end)\n"
ENDS_AT_LAST: Final = "            attempt(self.span.end)\n        finally:\n            pass\n"


@dataclass(frozen=True, kw_only=True)
class Mutation:
    """A change of one file, and the tests that are to fail with it."""

    name: str
    file: str
    old: str
    new: str
    tests: str = BOUNDARY


def forced(work_around: str, module: str, probe: str) -> Mutation:
    """A work-around that is used whether or not it fits."""
    name = f"the probe of {work_around} always says yes"
    return Mutation(
        name=name, file=f"pipeline/upstream/{module}.py", old=f"works={probe}", new="works=lambda: True", tests=UPSTREAM
    )


MUTATIONS: Final = (
    Mutation(
        name="never_raise without its try",
        file="recording/guard.py",
        old="        try:\n            function(*args, **kwargs)\n        except BaseException as error:\n"
        "            log_internal_error(error)\n",
        new="        function(*args, **kwargs)\n",
    ),
    Mutation(
        name="attempt without its try",
        file="recording/guard.py",
        old="    try:\n        return function(*args, **kwargs)\n    except BaseException as error:\n"
        "        log_internal_error(error)\n        return None\n",
        new="    return function(*args, **kwargs)\n",
    ),
    Mutation(
        name="asgi._begin without its except",
        file="instrumentation/asgi.py",
        old="        request = _Request(scope, app)\n    except BaseException as error:\n",
        new="        request = _Request(scope, app)\n    except ZeroDivisionError as error:\n",
    ),
    Mutation(
        name="websocket.observe_connection without its except",
        file="instrumentation/websocket.py",
        old="    try:\n        connection = _Connection(scope, app)\n    except Exception as error:\n"
        "        log_internal_error(error)\n        await app(scope, receive, send)\n        return\n",
        new="    connection = _Connection(scope, app)\n",
    ),
    Mutation(
        name="vector_stores.search begins without its attempt",
        file="instrumentation/vector_stores/search.py",
        old="        run = attempt(_begin, describe, operation, instance, args, kwargs)\n        if run is None:\n"
        "            return wrapped(*args, **kwargs)\n",
        new="        run = _begin(describe, operation, instance, args, kwargs)\n        if run is None:\n"
        "            return wrapped(*args, **kwargs)\n",
        tests="tests/instrumentation/test_vector_stores.py",
    ),
    Mutation(
        name="a generation reads a response without its attempt",
        file="rag/generation.py",
        old="        attempt(self._read, response)\n",
        new="        self._read(response)\n",
        tests="tests/recording/test_usage.py",
    ),
    Mutation(
        name="the rate limit is always open",
        file="recording/rate_limit.py",
        old="        now = self._clock()\n",
        new="        return True\n        now = self._clock()\n",
    ),
    Mutation(
        name="a failing on_end is not caught",
        file="recording/operation.py",
        old="attempt(self._on_end, elapsed, error)",
        new="self._on_end(elapsed, error)",
    ),
    Mutation(
        name="the SDK's logs are not throttled",
        file="lifecycle.py",
        old="    pipeline.throttle_sdk_logs()\n",
        new="",
        tests="tests/pipeline/test_sdk_logs.py",
    ),
    Mutation(
        name="a failing recorder skips the end of a request's span",
        file="instrumentation/asgi.py",
        old="            self._record(route, error, elapsed)\n        except BaseException as failed:\n"
        "            log_internal_error(failed)\n" + ENDS_WHATEVER_FAILS,
        new="            self._record(route, error, elapsed)\n" + ENDS_AT_LAST,
    ),
    Mutation(
        name="a failing recorder skips the end of a connection's span",
        file="instrumentation/websocket.py",
        old="            attempt(self._measure, elapsed, route)\n" + ENDS_WHATEVER_FAILS,
        new="            self._measure(elapsed, route)\n" + ENDS_AT_LAST,
    ),
    Mutation(
        name="a failing measurement of the first byte loses the duration",
        file="instrumentation/asgi.py",
        old="attempt(recorder(catalogue.HTTP_FIRST_BYTE), self.first_byte, _labels(self.method, route), self.context)",
        new="recorder(catalogue.HTTP_FIRST_BYTE)(self.first_byte, _labels(self.method, route), self.context)",
    ),
    Mutation(
        name="measurements that wait are not exported",
        file="pipeline/upstream/histogram.py",
        old="            self.add_up()\n            with",
        new="            with",
        tests="tests/pipeline/test_cached_recording.py",
    ),
    Mutation(
        name="a processor of the app gets light spans",
        file="pipeline/tracer.py",
        old="        self.is_shared = True\n",
        new="",
        tests="tests/pipeline/test_span.py",
    ),
    Mutation(
        name="a failing measurement loses the next",
        file="recording/instruments.py",
        old="    except BaseException as error:\n        log_internal_error(error)\n\n\nadd = record",
        new="    except ZeroDivisionError as error:\n        log_internal_error(error)\n\n\nadd = record",
    ),
    Mutation(
        name="a span that cannot begin stops its block",
        file="recording/operation.py",
        old="attempt(_start_span, name, attributes, kind) or trace.INVALID_SPAN",
        new="_start_span(name, attributes, kind)",
    ),
    Mutation(
        name="a failing step of a forked child stops the next",
        file="recording/state.py",
        old="            except Exception as error:  # the child must live, and take the other steps\n",
        new="            except ZeroDivisionError as error:\n",
        tests="tests/recording/test_state.py",
    ),
    Mutation(
        name="a probe of a work-around that fails is not caught",
        file="pipeline/upstream/workaround.py",
        old="        except Exception as error:\n            state.work_arounds",
        new="        except ZeroDivisionError as error:\n            state.work_arounds",
        tests=UPSTREAM,
    ),
    Mutation(
        name="a work-around is switched off without a line of log",
        file="pipeline/upstream/workaround.py",
        old="            _log.warning(message, name",
        new="            _log.debug(message, name",
        tests=UPSTREAM,
    ),
    Mutation(
        name="a log record that cannot be written harms its writer",
        file="pipeline/logs.py",
        old="            if not is_failure(error):\n                raise\n            attempt(super().emit",
        new="            raise\n            attempt(super().emit",
    ),
    Mutation(
        name="a refused batch is lost whole",
        file="pipeline/delivery.py",
        old="if self._refusals < _HOPELESS or self._accepts:",
        new="if self._accepts:",
        tests="tests/pipeline/test_delivery.py",
    ),
    forced("whole batches", "exporter", "_passes_its_batch"),
    forced("cached recording", "recording", "_records_as_the_sdk_does"),
    forced("steady histograms", "histogram", "_keeps_its_scale"),
    forced("counts of a forked child", "fork", "_starts_at_zero"),
    forced("the name of a forked child", "fork", "_exports_under_another_name"),
    forced("the connection of a forked child", "fork", "_can_reconnect"),
    forced("spans of one engine", "engine", "_names_spans"),
    forced("frozen times of spans", "spantime", "_freezes_spans"),
)


def failing_test(mutation: Mutation) -> str | None:
    """The first test that fails with the mutation, or None when it survives."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder)
        for name in COPIED:
            source = REPOSITORY / name
            (shutil.copytree if source.is_dir() else shutil.copy)(source, copy / name)
        path = copy / "otel_tutor" / mutation.file
        text = path.read_text(encoding="utf-8")
        if text.count(mutation.old) != 1:
            raise SystemExit(f"{mutation.name}: {mutation.file} has not exactly one place like this:\n{mutation.old}")
        path.write_text(text.replace(mutation.old, mutation.new), encoding="utf-8")
        # Beside the copy's own modules nothing of the repository is imported: the folder comes first on the path.
        result = subprocess.run(
            [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *mutation.tests.split()],
            cwd=copy,
            env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
            capture_output=True,
            text=True,
            check=False,
        )
    if result.returncode not in {PASSED, FAILED}:
        raise SystemExit(f"{mutation.name}: its tests cannot run:\n{result.stdout[-2000:]}")
    return next((line.split()[1] for line in result.stdout.splitlines() if line.startswith("FAILED")), None)


def main(word: str) -> int:
    """Try all mutations whose name has the word, two at a time."""
    mutations = [mutation for mutation in MUTATIONS if word in mutation.name]
    survivors = 0
    with ThreadPoolExecutor(2) as threads:
        for mutation, failed in zip(mutations, threads.map(failing_test, mutations), strict=True):
            survivors += failed is None
            sys.stdout.write(
                f"{'survived' if failed is None else 'noticed'}: {mutation.name} ({failed or 'no test fails'})\n"
            )
            sys.stdout.flush()
    return min(survivors, 1)


if __name__ == "__main__":
    raise SystemExit(main(" ".join(sys.argv[1:])))
