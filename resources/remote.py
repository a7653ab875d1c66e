"""Addresses of what may lie elsewhere than on this machine's disk, as a config gives them."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator
from pydantic_core import PydanticCustomError

SECRET = "secret_in_file"  # noqa: S105 (the type of an error, no secret)
"""The error type of a value that must not be shown."""


class ExtraMissingError(RuntimeError):
    """Something of the extra `cluster` is wanted and not installed; the message says how to."""


def require(package: str, key: str) -> None:
    """See that a package of the extra `cluster` can be imported, without importing it.

    Raises:
        ExtraMissingError: it is not installed.
    """
    if find_spec(package) is None:
        raise ExtraMissingError(
            f"the config's `{key}:` needs {package}, which is not installed: "
            f"pip install -c constraints.txt -e '.[cluster]'"
        )


def _database_address(url: str) -> str:
    """Check a PostgreSQL URL; a password stays in the environment."""
    parts = urlsplit(url)
    if parts.password is not None:
        raise PydanticCustomError(
            SECRET,
            "no password belongs in a file: leave it out of the URL, and set PGPASSWORD, or let "
            "PGPASSFILE name a password file of libpq's",
        )
    if parts.scheme != "postgresql" or not parts.path.strip("/"):
        raise ValueError("a database's URL reads postgresql://user@host:5432/database")
    return url


DatabaseAddress = Annotated[str, AfterValidator(_database_address)]
"""A PostgreSQL database by URL, without its password."""
