"""What an incremental step did with the rows that were wanted."""

from __future__ import annotations

from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class Counts:
    """Rows by what became of them: `wanted = reused + new + stale + failed`.

    Attributes:
        wanted: rows asked for.
        reused: taken from the store.
        new: made now, of items that the last table did not have.
        stale: made now, of items that the last table had under another key.
        orphaned: in the last table and no longer wanted.
        failed: could not be made; each is listed with its reason.
    """

    wanted: int = 0
    reused: int = 0
    new: int = 0
    stale: int = 0
    orphaned: int = 0
    failed: int = 0

    def as_metadata(self) -> dict[str, int]:
        """The numbers by name."""
        return asdict(self)
