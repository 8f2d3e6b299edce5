"""Objects that raise whatever is asked of them, each in its own way."""

from dataclasses import dataclass
from typing import Any, NoReturn


class Hostile:
    """It has no text, no truth, no number, no hash."""

    def _refuse(self, *_: object) -> NoReturn:
        raise RuntimeError("refused")

    __str__ = __repr__ = __bool__ = __float__ = __int__ = __index__ = __len__ = __iter__ = __hash__ = __eq__ = _refuse
    __format__ = __call__ = __enter__ = __fspath__ = __getattr__ = _refuse


class Classless:
    """Its class cannot be asked."""

    @property  # type: ignore[misc]  # of a class that cannot be read, which no type allows
    def __class__(self) -> Any:
        raise RuntimeError("refused")


class Lying:
    """It has attributes of numbers and mappings, and each raises."""

    @property
    def _refused(self) -> NoReturn:
        raise RuntimeError("refused")

    dtype = ndim = items = keys = value = shape = _refused


class Mapping(dict[str, int]):
    """Its items cannot be read."""

    def items(self) -> Any:
        """Refuse."""
        raise RuntimeError("refused")


class Text(str):
    """Text that cannot be compared."""

    def __eq__(self, _: object) -> bool:
        raise RuntimeError("refused")

    def __hash__(self) -> int:
        raise RuntimeError("refused")

    def __str__(self) -> str:
        raise RuntimeError("refused")


HOSTILE: dict[str, Any] = {
    "everything": Hostile(),
    "class": Classless(),
    "attributes": Lying(),
    "items": Mapping(),
    "text": Text("physics"),
    "number": 10**5000,  # Python refuses to write it
}


@dataclass(frozen=True)
class Drawn:
    """Stands for one of them: hypothesis compares, prints and asks for the class of what it draws."""

    name: str


def real(value: Any) -> Any:
    """What a drawn value stands for, in lists and mappings as well."""
    if isinstance(value, Drawn):
        return HOSTILE[value.name]
    if isinstance(value, (list, tuple)):
        return type(value)(map(real, value))
    return {key: real(item) for key, item in value.items()} if isinstance(value, dict) else value
