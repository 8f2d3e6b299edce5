"""The tokens of an answer that is streamed without its usage, counted by the model's tokenizer."""

from collections.abc import Callable, Sized
from typing import Any, Final

from otel_tutor.recording.usage import text_of

__all__ = ["StreamedText"]

# A longer answer is not counted: it is held until its end, and its tokens are then counted in the app's thread.
_LONGEST: Final = 500_000  # characters


class StreamedText:
    """The text of a stream, for a tokenizer.

    tokenizer: of transformers, tokenizers or tiktoken, or a function that returns the tokens of a text.
    """

    def __init__(self, tokenizer: Any) -> None:
        self._encode: Final = _encoder(tokenizer)
        self._texts: list[str] = []
        self._length = 0

    def add(self, piece: object) -> None:
        """Note a piece of the stream."""
        text = text_of(piece)
        if text and self._length <= _LONGEST:
            self._length += len(text)
            self._texts.append(text)
            if self._length > _LONGEST:
                self._texts.clear()

    def count(self) -> int | None:
        """How many tokens the text has; None for a text that is too long. Raises what the tokenizer raises."""
        return None if self._length > _LONGEST else len(self._encode("".join(self._texts)))


def _encoder(tokenizer: Any) -> Callable[[str], Sized]:
    """What gives the tokens of a text alone, without those that mark where a prompt begins or ends."""
    if (ordinary := getattr(tokenizer, "encode_ordinary", None)) is not None:  # tiktoken
        encode: Callable[[str], Sized] = ordinary
        return encode
    if not hasattr(tokenizer, "encode"):
        function: Callable[[str], Sized] = tokenizer
        return function
    return lambda text: tokenizer.encode(text, add_special_tokens=False)  # transformers, tokenizers
