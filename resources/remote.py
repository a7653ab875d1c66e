"""Addresses of what may lie elsewhere than on this machine's disk, as a config gives them."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import parse_qsl, unquote, urlsplit

from pydantic import AfterValidator, BeforeValidator, ValidationInfo
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


# fmt: off
_OPTIONS = {
    # Amazon's
    "region", "scheme", "endpoint_override", "allow_bucket_creation", "allow_bucket_deletion",
    "smart_defaults", "tls_ca_file_path", "tls_ca_dir_path", "tls_verify_certificates",
    # Google's
    "project_id", "retry_limit_seconds",
    # Microsoft's
    "blob_storage_authority", "dfs_storage_authority", "enable_tls", "background_writes",
    "credential_kind", "tenant_id", "client_id",
    # Hadoop's
    "user", "replication", "buffer_size", "default_block_size",
}
# fmt: on
"""What `pyarrow.fs` takes in a URL, without its keys, tokens and signatures."""


def _folder_address(value: Any, info: ValidationInfo) -> Any:
    """A URL as it is, if it holds no secret; a path from the config's base folder."""
    if not isinstance(value, str) or "://" not in value:
        base = (info.context or {}).get("base", "")
        return Path(base, Path(value).expanduser()) if isinstance(value, str) else value
    parts = urlsplit(value)
    if parts.scheme == "file":
        return Path(unquote(parts.path))
    options = {name for name, _ in parse_qsl(parts.query, keep_blank_values=True)}
    if parts.password is not None or options - _OPTIONS:
        raise PydanticCustomError(
            SECRET,
            "no key belongs in a file, and options of a URL are {known} only: leave all others "
            "out, and set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (or what else the store's "
            "library reads) in the environment",
            {"known": ", ".join(sorted(_OPTIONS))},
        )
    return value


def with_suffix(address: Path | str, suffix: str) -> Path | str:
    """The address of a folder beside another, whose name ends otherwise."""
    if isinstance(address, Path):
        return address.with_name(address.name + suffix)
    place, mark, options = address.partition("?")
    return f"{place.rstrip('/')}{suffix}{mark}{options}"


FolderAddress = Annotated[Path | str, BeforeValidator(_folder_address)]
"""A folder: a path, or the URL of one in a store that `pyarrow.fs` knows."""

DatabaseAddress = Annotated[str, AfterValidator(_database_address)]
"""A PostgreSQL database by URL, without its password."""
