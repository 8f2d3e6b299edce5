"""The stack's files in a user's project: written there once, edited there, and used from there.

The manifest remembers each file by its hash: a later version replaces what no one edited, and nothing else.
"""

import difflib
import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from otel_tutor.errors import StackError
from otel_tutor.settings import shipped_config_dir
from otel_tutor.tools.stack.components import PORTS
from otel_tutor.tools.stack.ports import variable

__all__ = ["MANIFEST", "Written", "active_config_dir", "write"]

MANIFEST: Final = ".otel-tutor.json"
_EXAMPLE: Final = ".env.example"
_PARTS: Final = ("compose.yaml", _EXAMPLE, "collector", "alerts", "dashboards/json", "dashboards/provisioning")
_NOT: Final = "build"  # what components are built from stays with the package


@dataclass(slots=True)
class Written:
    """What became of each file, by its path in the project; `edited` has the difference to what is shipped."""

    new: list[str] = field(default_factory=list)
    updated: list[str] = field(default_factory=list)
    edited: dict[str, str] = field(default_factory=dict)
    removed: list[str] = field(default_factory=list)


def active_config_dir() -> Path:
    """The folder of the configuration in effect: the project this is called in, or one above it, else what is shipped."""
    here = Path.cwd()
    return next((folder for folder in (here, *here.parents) if (folder / MANIFEST).is_file()), shipped_config_dir())


def write(target: Path) -> Written:
    """Put the shipped files into a project, leaving alone what was edited or removed there. Raises StackError."""
    written, known = Written(), _known(target)
    try:
        for name, content in _files():
            _write(target, name, content, known, written)
        (target / MANIFEST).write_text(json.dumps(known, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    except OSError as error:
        raise StackError(f"{target} cannot be written ({error.strerror}): choose another folder") from None
    return written


def _write(target: Path, name: str, content: bytes, known: dict[str, str], written: Written) -> None:
    path, shipped_hash = target / name, _hash(content)
    if not path.exists():
        if name in known:
            written.removed.append(name)
            return
        written.new.append(name)
    else:
        there = path.read_bytes()
        if there == content:
            known[name] = shipped_hash
            return
        if _hash(there) != known.get(name):
            written.edited[name] = _difference(name, content, there)
            return
        written.updated.append(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    known[name] = shipped_hash


def _files() -> Iterator[tuple[str, bytes]]:
    source = shipped_config_dir()
    for part in _PARTS:
        for path in [source / part, *sorted((source / part).rglob("*"))]:
            name = path.relative_to(source)
            if path.is_file() and _NOT not in name.parts:
                content = path.read_bytes()
                yield str(name), content + _further_ports(content) if path.name == _EXAMPLE else content


def _further_ports(example: bytes) -> bytes:
    """The port variables that the example of settings does not list yet, with their defaults."""
    lines = [f"{variable(port.name)}={port.default}" for port in PORTS]
    return "".join(f"{line}\n" for line in lines if line not in example.decode().splitlines()).encode()


def _known(target: Path) -> dict[str, str]:
    path = target / MANIFEST
    try:
        known: Mapping[str, str] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    except (OSError, ValueError):
        raise StackError(f"{path} is damaged: remove it; your files stay, and will be treated as edited") from None
    return dict(known)


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _difference(name: str, content: bytes, there: bytes) -> str:
    before, after = (text.decode("utf-8", "replace").splitlines() for text in (content, there))
    return "\n".join(difflib.unified_diff(before, after, f"shipped/{name}", f"yours/{name}", lineterm="", n=1))
