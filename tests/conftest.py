"""Fixtures that several test modules share; what they are made of lies in `support`."""

pytest_plugins = ["support.postgres"]
