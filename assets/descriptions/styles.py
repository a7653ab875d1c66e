"""How texts are worded: length, vocabulary, words for sounds and sights, likeness to captions.

The paper leaves open which style of text serves a retrieval model best. Here are the traits of
every text in every variant, from the text alone; `style_against_gain` in the DuckDB file sets them
beside what rewriting gains.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import log, sqrt
from pathlib import Path
from typing import Any

import pandas as pd

from resources.tables import TEXT_STYLES, VISUAL

SOUND_WORDS = "sound_words.txt"
VISUAL_WORDS = "visual_words.txt"
"""The word lists, files of the prompts' folder that users edit."""
_AUDIOCAPS_COLUMNS = re.compile(r"caption")
_CLOTHO_COLUMNS = re.compile(r"caption_\d+")


class StyleError(ValueError):
    """Captions to compare with can't be read; the message names the file, and the remedy."""


@dataclass(frozen=True)
class CaptionStyle:
    """The wording of a collection of captions: word weights, and the centroid of its TF-IDF.

    Attributes:
        captions: how many there are.
        weights: inverse document frequency of each word; `unknown` is that of any other.
        centroid: mean of the captions' TF-IDF vectors, of unit length.
    """

    captions: int
    weights: dict[str, float]
    unknown: float
    centroid: dict[str, float]

    @classmethod
    def of(cls, captions: Iterable[str]) -> CaptionStyle | None:
        """The style of some captions, None where there are none."""
        counts = [Counter(split_words(caption)) for caption in captions]
        counts = [count for count in counts if count]
        if not counts:
            return None
        frequency = Counter(word for count in counts for word in count)
        unknown = 1 + log(1 + len(counts))
        weights = {word: unknown - log(1 + n) for word, n in frequency.items()}
        mean: dict[str, float] = defaultdict(float)
        for count in counts:
            weighted = {word: n * weights[word] for word, n in count.items()}
            length = _length(weighted.values())
            for word, weight in weighted.items():
                mean[word] += weight / length
        length = _length(mean.values())
        return cls(len(counts), weights, unknown, {word: w / length for word, w in mean.items()})

    def similarity(self, words: Sequence[str]) -> float:
        """Cosine of a text's TF-IDF vector with the centroid, from 0 to 1."""
        weighted = {
            word: n * self.weights.get(word, self.unknown) for word, n in Counter(words).items()
        }
        if not weighted:
            return 0.0
        product = sum(w * self.centroid.get(word, 0.0) for word, w in weighted.items())
        return min(product / _length(weighted.values()), 1.0)


def build_text_styles(
    benchmark: str,
    texts: pd.DataFrame,
    descriptions: pd.DataFrame,
    word_lists: Mapping[str, Sequence[str]],
    references: Mapping[str, CaptionStyle | None],
) -> pd.DataFrame:
    """The traits of every distinct text in every variant.

    Args:
        benchmark: its name.
        texts: `text_id, text`: the original texts.
        descriptions: DESCRIPTIONS of the same benchmark.
        word_lists: by column: `sound_words`, `visual_words`.
        references: by column: `audiocaps_similarity`, `clotho_similarity`; None for no captions,
            and the column is null then.

    Returns:
        TEXT_STYLES. The share of sound words counts inflected forms as well (`clinks`, `humming`).
    """
    described = descriptions[["text_id", "variant", "description"]]
    described = described.rename(columns={"description": "text"}).astype({"variant": object})
    rows = pd.concat([texts[["text_id", "text"]].assign(variant=VISUAL), described])
    words = [split_words(text) for text in rows["text"]]
    shares = {
        "sound_words": share_of([form for w in word_lists["sound_words"] for form in inflected(w)]),
        "visual_words": share_of(word_lists["visual_words"]),
    }
    columns: dict[str, Any] = {
        "benchmark": benchmark,
        "words": [len(each) for each in words],
        "vocabulary": [sorted(set(each)) for each in words],
        **{name: [share(each) for each in words] for name, share in shares.items()},
    }
    for name, style in references.items():
        columns[name] = [None if style is None else style.similarity(each) for each in words]
    return TEXT_STYLES.frame(rows.assign(**columns))


def split_words(text: str) -> list[str]:
    """The words of a text in lower case, numbers and apostrophes included."""
    return re.findall(r"[^\W_]+(?:'[^\W_]+)*", text.lower())


def inflected(word: str) -> list[str]:
    """A word's regular forms: `hum, hums, hummed, humming`. Irregular ones must be listed."""
    doubled = word + word[-1]
    return [
        *(word + ending for ending in ("", "s", "es")),
        *(stem + ending for stem in (word.removesuffix("e"), doubled) for ending in ("ed", "ing")),
    ]


def share_of(listed: Iterable[str]) -> Callable[[Sequence[str]], float]:
    """A function from words to the share of them that the listed words and phrases cover."""
    by_first: dict[str, set[tuple[str, ...]]] = {}
    for entry in listed:
        phrase = tuple(split_words(entry))
        if phrase:
            by_first.setdefault(phrase[0], set()).add(phrase)

    def share(words: Sequence[str]) -> float:
        covered: set[int] = set()
        for start, word in enumerate(words):
            for phrase in by_first.get(word, ()):
                if tuple(words[start : start + len(phrase)]) == phrase:
                    covered.update(range(start, start + len(phrase)))
        return len(covered) / len(words) if words else 0.0

    return share


def audiocaps_style(files: Sequence[Path]) -> CaptionStyle | None:
    """The style of AudioCaps' captions: column `caption`."""
    return CaptionStyle.of(_captions(files, _AUDIOCAPS_COLUMNS))


def clotho_style(files: Sequence[Path]) -> CaptionStyle | None:
    """The style of Clotho's captions: columns `caption_1` to `caption_5`."""
    return CaptionStyle.of(_captions(files, _CLOTHO_COLUMNS))


def _captions(files: Sequence[Path], columns: re.Pattern[str]) -> list[str]:
    """Every caption of some CSV files.

    Raises:
        StyleError: one can't be read, or has no such column.
    """
    captions: list[str] = []
    for file in files:
        try:
            table = pd.read_csv(file, dtype=str, keep_default_na=False, encoding="utf-8")
        except (OSError, ValueError) as error:
            raise StyleError(f"{file} can't be read as CSV in UTF-8: {error}") from error
        found = [name for name in table.columns if columns.fullmatch(name)]
        if not found:
            raise StyleError(
                f"{file} has no column named {columns.pattern}: it has {', '.join(table.columns)}"
            )
        captions += [text for name in found for text in table[name]]
    return captions


def _length(values: Iterable[float]) -> float:
    return sqrt(sum(value * value for value in values))
