"""What the tests share: helpers and fixtures, each in its own module."""
