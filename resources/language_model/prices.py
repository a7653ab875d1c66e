"""Money: prices that the user owns, what a request can cost at most, and a budget that holds.

Prices are USD per million tokens. A price that is not in the file is unknown, and never zero.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from pydantic import Field, ValidationError

from resources.language_model.question import LanguageModelError
from resources.settings import PROJECT_ROOT, Strict
from resources.yaml_files import parse_yaml, problems_of

PRICES_FILE = PROJECT_ROOT / "prices.yaml"
MILLION = 1_000_000


class ModelPrice(Strict):
    """USD per million tokens, in and out."""

    input: float = Field(ge=0)
    output: float = Field(ge=0)


class Prices(Strict):
    """The price list.

    Attributes:
        models: by name, exactly as prompts name them.
        batch_factor: what a token costs in a batch, as a share of its price online.
    """

    models: dict[str, ModelPrice]
    batch_factor: float = Field(default=0.5, ge=0, le=1)

    def cost(
        self, model: str, prompt_tokens: int, completion_tokens: int, batch: bool = False
    ) -> float | None:
        """USD for so many tokens; None where the model's price is unknown."""
        price = self.models.get(model)
        if price is None:
            return None
        usd = (prompt_tokens * price.input + completion_tokens * price.output) / MILLION
        return usd * self.batch_factor if batch else usd


def load_prices(file: Path | None = None) -> Prices:
    """Read the price list.

    Raises:
        LanguageModelError: the file is missing or wrong; every problem is named.
    """
    path = file or PRICES_FILE
    try:
        raw = parse_yaml(path.read_text(encoding="utf-8"))
        return Prices.model_validate(raw)
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise LanguageModelError(f"{path}: the price list can't be read: {error}") from error
    except ValidationError as error:
        problems = "; ".join(problems_of(error, raw, Prices))
        raise LanguageModelError(f"{path}: not a price list: {problems}") from error


def show_usd(usd: float) -> str:
    """An amount as people read it: cents, or finer where there is less than ten of them."""
    if usd == 0 or usd >= 0.1:
        return f"{usd:.2f}"
    return f"{max(usd, 0.0001):.4f}"


def token_bound(body: str, parameters: Mapping[str, Any], questions: int) -> tuple[int, int]:
    """The most tokens that a request can take, in and out.

    No tokenizer makes more tokens than there are bytes, and the server stops at the output limit.
    """
    limit = parameters.get("max_tokens") or parameters.get("max_completion_tokens") or 0
    return len(body.encode()), int(limit) * questions


@dataclass
class Budget:
    """USD that may be spent: reserved before a request leaves, settled when it is back.

    `spent_usd` counts what is known to be paid, and what may have been when a request got lost.
    """

    limit_usd: float
    spent_usd: float = 0.0
    reserved_usd: float = 0.0

    def __post_init__(self) -> None:
        self._lock = threading.Lock()

    @property
    def left_usd(self) -> float:
        """What is neither spent nor reserved."""
        return self.limit_usd - self.spent_usd - self.reserved_usd

    def reserve(self, usd: float) -> bool:
        """Set an amount aside, if it is there."""
        with self._lock:
            if usd > self.left_usd:
                return False
            self.reserved_usd += usd
            return True

    def settle(self, reserved_usd: float, spent_usd: float) -> None:
        """Give a reservation back and count what was spent."""
        with self._lock:
            self.reserved_usd -= reserved_usd
            self.spent_usd += spent_usd
