"""What the doctor says of one hop."""

from dataclasses import dataclass

from otel_tutor.tools.doctor.causes import CAUSES

__all__ = ["Finding"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What was found at a hop. Without a `cause` all is well; `stops` says that nothing gets past it."""

    hop: str
    seconds: float = 0.0
    cause: str = ""  # a key of CAUSES
    detail: str = ""
    stops: bool = True

    @property
    def line(self) -> str:
        """What is wrong and what to do about it; where all is well, what there is to tell."""
        if not self.cause:
            return self.detail
        known = CAUSES[self.cause]
        return f"{known.cause}{f' ({self.detail})' if self.detail else ''}: {known.remedy}"
