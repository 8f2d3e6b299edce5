"""What is wrong with a request, for the person who sent it."""

__all__ = ["BadRequestError"]


class BadRequestError(Exception):
    """The request cannot be served as it is."""
