"""A tutor's files, as the tests of the demo have them."""

from tests.demo.conftest import prepared, settings

__all__ = ["prepared", "settings"]
