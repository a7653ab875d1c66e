"""Traits of texts: words, shares of listed words, likeness to captions."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.retrieval_tables import NAME, description_rows

from assets.descriptions.few_shot import read_word_list
from assets.descriptions.styles import (
    SOUND_WORDS,
    VISUAL_WORDS,
    CaptionStyle,
    StyleError,
    audiocaps_style,
    build_text_styles,
    clotho_style,
    inflected,
    share_of,
    split_words,
)
from resources.settings import PROJECT_ROOT
from resources.tables import DESCRIPTIONS, TEXT_STYLES, text_id

CAPTIONS = ("A dog barks", "A dog barks and a man speaks", "Water runs")
LISTS = {"sound_words": ["hum", "clatter"], "visual_words": ["red", "looks like"]}
words = st.lists(st.sampled_from(["a", "dog", "barks", "water", "runs", "zebra"]), max_size=8)


def styles(descriptions, references=None, lists=LISTS):
    texts = pd.DataFrame({"text": ["cut onion"], "text_id": [text_id("cut onion")]})
    rows = DESCRIPTIONS.frame(description_rows("few", {"cut onion": descriptions}))
    none = {"audiocaps_similarity": None, "clotho_similarity": None}
    return build_text_styles(NAME, texts, rows, lists, references or none)


def test_every_text_of_every_variant_has_a_row():
    rows = styles("The fan hums, hums and looks like a red fan").set_index("variant")
    assert rows.loc["visual", ["text", "words", "sound_words"]].tolist() == ["cut onion", 2, 0]
    few = rows.loc["few"]
    assert few["words"] == 10
    assert list(few["vocabulary"]) == ["a", "and", "fan", "hums", "like", "looks", "red", "the"]
    assert few["sound_words"] == pytest.approx(2 / 10)
    assert few["visual_words"] == pytest.approx(3 / 10)
    assert rows["audiocaps_similarity"].isna().all()
    TEXT_STYLES.to_arrow(styles("It hums"))


def test_words_are_lower_case_and_keep_what_is_inside_them():
    assert split_words("Don't stir-fry 2 Crêpes, please!") == [
        "don't", "stir", "fry", "2", "crêpes", "please",
    ]  # fmt: skip
    assert split_words("...") == []


def test_regular_forms_are_those_of_english():
    assert {"hum", "hums", "hummed", "humming"} <= set(inflected("hum"))
    assert {"rustles", "rustled", "rustling"} <= set(inflected("rustle"))
    assert {"crashes", "crashed", "crashing"} <= set(inflected("crash"))


def test_phrases_cover_their_words_once():
    share = share_of(["metal", "sheet metal", "metal clinks"])
    assert share(["sheet", "metal", "clinks", "once"]) == pytest.approx(3 / 4)
    assert share([]) == 0


@given(words)
def test_shares_are_fractions_and_similarities_too(text):
    style = CaptionStyle.of(CAPTIONS)
    assert 0 <= style.similarity(text) <= 1
    assert 0 <= share_of(["dog", "dog barks"])(text) <= 1


def test_similarity_is_the_cosine_with_the_mean_of_tf_idf_vectors():
    """The same in plain numpy, over the vocabulary of captions and text."""
    text = split_words("A dog barks at a zebra")
    known = sorted({word for caption in CAPTIONS for word in split_words(caption)})
    vocabulary = [*known, "at", "zebra"]
    counts = np.array([[split_words(c).count(w) for w in vocabulary] for c in CAPTIONS])
    weights = 1 + np.log((1 + len(CAPTIONS)) / (1 + (counts > 0).sum(axis=0)))
    vectors = counts * weights
    vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    centre = vectors.mean(axis=0)
    own = np.array([text.count(word) for word in vocabulary]) * weights
    expected = own @ centre / np.linalg.norm(own) / np.linalg.norm(centre)
    assert CaptionStyle.of(CAPTIONS).similarity(text) == pytest.approx(expected)


def test_a_caption_is_like_itself_and_unlike_what_shares_no_word():
    style = CaptionStyle.of(["A dog barks"])
    assert style.similarity(split_words("a dog barks")) == pytest.approx(1)
    assert style.similarity(split_words("water runs")) == 0
    assert style.similarity([]) == 0
    assert CaptionStyle.of([]) is None
    assert CaptionStyle.of(["", "..."]) is None


def test_captions_are_read_as_published(tmp_path):
    audiocaps, clotho = tmp_path / "audiocaps.csv", tmp_path / "clotho.csv"
    audiocaps.write_text("audiocap_id,youtube_id,start_time,caption\n1,x,0,A dog barks\n")
    clotho.write_text(
        "file_name," + ",".join(f"caption_{n}" for n in range(1, 6)) + "\na.wav" + ",A bell" * 5
    )
    assert audiocaps_style([audiocaps]).captions == 1
    assert clotho_style([clotho]).captions == 5
    assert audiocaps_style([]) is None
    columns = {"audiocaps_similarity": audiocaps_style([audiocaps]), "clotho_similarity": None}
    rows = styles("A dog barks", columns).set_index("variant")
    assert rows.loc["few", "audiocaps_similarity"] == pytest.approx(1)
    assert rows["clotho_similarity"].isna().all()


def test_a_file_that_holds_no_captions_is_named(tmp_path):
    file = tmp_path / "clotho.csv"
    with pytest.raises(StyleError, match=r"clotho\.csv can't be read"):
        clotho_style([file])
    file.write_text("caption\nA bell\n")
    with pytest.raises(StyleError, match=r"clotho\.csv has no column named caption_"):
        clotho_style([file])


def test_the_projects_lists_tell_sounds_from_sights():
    folder = PROJECT_ROOT / "prompts"
    sounds, sights = (read_word_list(folder / name) for name in (SOUND_WORDS, VISUAL_WORDS))
    assert len(set(sounds)) == len(sounds)
    assert not set(sounds) & set(sights)
    lists = {"sound_words": sounds, "visual_words": sights}
    rows = styles("Metal clinks while a high-pitched fan is humming", lists=lists)
    rows = rows.set_index("variant")
    assert rows.loc["few", "sound_words"] == pytest.approx(4 / 9)
    assert rows.loc["visual", "sound_words"] == 0
