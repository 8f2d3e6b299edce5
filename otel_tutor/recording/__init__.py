"""How anything is recorded: private to the package. An app imports `monitoring`, `tracing` and `rag` instead."""
