"""Searches in vector stores become spans and measurements, whichever of the known stores an app imports.

A store is observed as it is imported, before `configure()` or after it: nothing is imported for this. Each of its methods
that searches by vector is wrapped, and so is each that changes how many documents there are. One call is one search, of
however many vectors. `search.py` has what a search records, and why a call by hand does not record it again.
"""

from typing import Any

import wrapt

from otel_tutor.instrumentation.vector_stores.clients import CLIENTS, observe_client, observe_faiss
from otel_tutor.instrumentation.vector_stores.engines import observe_sqlalchemy
from otel_tutor.instrumentation.vector_stores.sqlite import observe_sqlite
from otel_tutor.recording.guard import never_raise

__all__ = ["VectorStores"]


class VectorStores:
    """Starts and is asked as an instrumentation of OpenTelemetry's is, so that users name it as one of those."""

    is_instrumented_by_opentelemetry = False

    def instrument(self, **_: Any) -> None:
        """Observe the stores that are imported, and others as they will be. What was wrapped stays so."""
        type(self).is_instrumented_by_opentelemetry = True
        for client in CLIENTS:
            _when_imported(client.module, lambda module, client=client: observe_client(module, client))
        _when_imported("faiss", observe_faiss)
        _when_imported("sqlite_vec", observe_sqlite)
        _when_imported("sqlalchemy", observe_sqlalchemy)


def _when_imported(module: str, observe: Any) -> None:
    wrapt.register_post_import_hook(never_raise(observe), module)  # what it raises would come out of the app's import
