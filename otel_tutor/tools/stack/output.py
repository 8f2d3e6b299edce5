"""What a program wrote, in one line."""

__all__ = ["last_line"]


def last_line(output: str, *, preferred: str = "", ignored: str = "[notice]") -> str:
    """The last line with any text in it; among those that begin with `preferred`, if one does.

    Lines that begin with `ignored`, by default what pip says of itself, do not count. Without any, it is `no output`.
    """
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    told = [line for line in lines if not line.startswith(ignored)]
    best = [line for line in told if line.startswith(preferred)] if preferred else []
    return (best or told or ["no output"])[-1]
