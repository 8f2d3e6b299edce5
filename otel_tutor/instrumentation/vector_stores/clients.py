"""The clients chromadb, qdrant-client, lancedb and faiss: which of their methods search, and which change what is there."""

import inspect
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from types import ModuleType
from typing import Any, Final
from weakref import WeakSet, ref

from otel_tutor.instrumentation.vector_stores.search import Collection, Describe, observe_changes, observe_searches
from otel_tutor.recording.guard import attempt

__all__ = ["CLIENTS", "Client", "observe_client", "observe_faiss"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """A class of a store's client. operation: of its searches, where the method's name does not say it."""

    module: str
    owner: str
    describe: Describe
    searches: tuple[str, ...] = ()
    changes: tuple[str, ...] = ()
    operation: str | None = None


def _chroma(collection: Any, _: Any, __: Any) -> Collection:
    return Collection(store="chroma", name=collection.name, count=collection.count)


def _qdrant(client: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Collection:
    name = kwargs["collection_name"] if "collection_name" in kwargs else args[0]
    weakly = ref(client)  # a client that goes away unlocks its folder

    def count() -> Any:
        client = weakly()
        if client is None:
            raise ReferenceError("the client is gone")
        answer = client.count(name, exact=False)
        return _number_of(answer) if inspect.iscoroutine(answer) else answer.count

    return Collection(store="qdrant", name=name, count=count)


async def _number_of(answer: Coroutine[Any, Any, Any]) -> Any:
    return (await answer).count


def _lance_table(table: Any, _: Any, __: Any) -> Collection:
    return Collection(store="lancedb", name=table.name, count=table.count_rows)


def _lance_query(query: Any, _: Any, __: Any) -> Collection:
    table = getattr(query, "_table", None)  # private, and the only way to the name
    return Collection(store="lancedb", name=None) if table is None else _lance_table(table, (), {})


_CHROMA_CHANGES: Final = ("add", "upsert", "delete")
_QDRANT_SEARCHES: Final = (
    *("query_points", "query_batch_points", "query_points_groups", "search_matrix_pairs", "search_matrix_offsets"),
    *("search", "search_batch", "search_groups", "query", "query_batch"),  # before 1.16
    *("recommend", "recommend_batch", "recommend_groups", "discover", "discover_batch"),
)
_QDRANT_CHANGES: Final = ("upsert", "delete", "upload_points", "upload_collection", "batch_update_points", "add")

CLIENTS: Final = (
    *(
        Client(
            module=f"chromadb.api.models.{owner}",
            owner=owner,
            describe=_chroma,
            searches=("query", "search"),
            changes=_CHROMA_CHANGES,
        )
        for owner in ("Collection", "AsyncCollection")
    ),
    *(
        Client(module=module, owner=owner, describe=_qdrant, searches=_QDRANT_SEARCHES, changes=_QDRANT_CHANGES)
        for module, owner in (
            ("qdrant_client.qdrant_client", "QdrantClient"),
            ("qdrant_client.async_qdrant_client", "AsyncQdrantClient"),
        )
    ),
    *(
        Client(module="lancedb.query", owner=owner, describe=_lance_query, searches=searches, operation="search")
        for owner, searches in (
            ("LanceVectorQueryBuilder", ("to_arrow", "to_batches")),
            ("LanceHybridQueryBuilder", ("to_arrow",)),
            ("AsyncVectorQuery", ("to_arrow", "to_batches")),
            ("AsyncHybridQuery", ("to_arrow", "to_batches")),
        )
    ),
    *(
        Client(module=module, owner=owner, describe=_lance_table, changes=("add", "delete"))
        for module, owner in (
            ("lancedb.table", "LanceTable"),
            ("lancedb.table", "AsyncTable"),
            ("lancedb.remote.table", "RemoteTable"),
        )
    ),
)


def observe_client(module: ModuleType, client: Client) -> None:
    """Wrap the methods of one class, those that this release of the client has."""
    owner: Any = getattr(module, client.owner, None)
    for method in client.searches:
        if hasattr(owner, method):
            attempt(observe_searches, owner, method, client.describe, client.operation or method)
    for method in client.changes:
        if hasattr(owner, method):
            attempt(observe_changes, owner, method, client.describe)


_FAISS_SEARCHES: Final = ("search", "range_search", "search_and_reconstruct")
_FAISS_CHANGES: Final = ("add", "add_with_ids", "remove_ids", "reset")


def observe_faiss(module: ModuleType) -> None:
    """Wrap the methods of all kinds of indexes. An index has no name, and takes no attribute: its type stands for it."""
    used: WeakSet[Any] = WeakSet()

    def describe(index: Any, _: Any, __: Any) -> Collection:
        used.add(index)
        return Collection(store="faiss", name=type(index).__name__, count=_total(used, type(index)), is_named=False)

    bases = tuple(getattr(module, name) for name in ("Index", "IndexBinary") if hasattr(module, name))
    kinds = {kind for kind in vars(module).values() if isinstance(kind, type) and issubclass(kind, bases)}
    for kind in kinds:
        for method in _FAISS_SEARCHES:
            if method in vars(kind):
                attempt(observe_searches, kind, method, describe, method)
        for method in _FAISS_CHANGES:
            if method in vars(kind):
                attempt(observe_changes, kind, method, describe)


def _total(used: WeakSet[Any], kind: Any) -> Callable[[], int]:
    """The vectors in all indexes of this type that were used and are still there."""
    return lambda: sum(index.ntotal for index in list(used) if type(index) is kind)
