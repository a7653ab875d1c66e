"""The authors' own descriptions and levels beside those that were answered."""

import pandas as pd

from assets.descriptions.paper import (
    paper_alterations,
    paper_exclusions,
    with_paper_descriptions,
    with_paper_levels,
)
from resources.tables import (
    DESCRIPTION_EXCLUSIONS,
    DESCRIPTIONS,
    INFORMATIVENESS,
    INFORMATIVENESS_EXCLUSIONS,
    text_id,
)

TEXT = "take plate"
ASKED = {"benchmark": "b", "text_id": text_id(TEXT), "text": TEXT, "model": "m", "key": "k"}


def published(**columns):
    return pd.DataFrame([{"text_id": text_id(TEXT), "text": TEXT, **columns}])


def test_published_descriptions_become_the_variant_paper():
    asked = DESCRIPTIONS.frame([{**ASKED, "variant": "p", "description": "a clink"}])
    both = with_paper_descriptions(asked, published(description="a plate clatters"), "b")
    by_variant = dict(zip(both["variant"], both["description"], strict=True))
    assert by_variant == {"p": "a clink", "paper": "a plate clatters"}
    assert DESCRIPTIONS.to_arrow(both).num_rows == 2


def test_a_changed_file_changes_the_key_of_its_rows():
    none = DESCRIPTIONS.frame([])
    keys = {
        with_paper_descriptions(none, published(description=given), "b")["key"].iloc[0]
        for given in ("a plate clatters", "a plate rattles")
    }
    assert len(keys) == 2


def test_published_levels_become_the_grader_paper():
    both = with_paper_levels(INFORMATIVENESS.frame([]), published(level="high"), "b")
    assert both[["grader", "level"]].astype(str).to_numpy().tolist() == [["paper", "high"]]


def test_a_text_with_several_published_descriptions_is_listed_as_altered():
    given = published(description="a clink", others=("a clatter", "a rattle"))
    assert len(with_paper_descriptions(DESCRIPTIONS.frame([]), given, "b")) == 1
    (row,) = DESCRIPTION_EXCLUSIONS.frame(paper_alterations(given, "b")).to_dict("records")
    assert (row["item_id"], row["effect"]) == (text_id(TEXT), "altered")
    assert row["detail"] == (
        "paper: 'take plate': 'a clink' stands for every row; others have 'a clatter', 'a rattle'"
    )
    assert paper_alterations(published(description="a clink", others=()), "b") == []


def test_without_the_authors_files_nothing_is_added():
    asked = INFORMATIVENESS.frame([{**ASKED, "grader": "g", "level": "low"}])
    empty = pd.DataFrame(columns=["text_id", "text", "level"])
    assert with_paper_levels(asked, empty, "b").equals(asked)


def test_a_text_that_the_authors_files_lack_is_named():
    wanted = pd.DataFrame(
        [{"text_id": text_id(text), "text": text} for text in (TEXT, "open drawer")]
    )
    left_out = INFORMATIVENESS_EXCLUSIONS.frame(
        paper_exclusions(wanted, published(level="high"), "b")
    )
    assert left_out["item_id"].tolist() == [text_id("open drawer")]
    assert left_out["detail"].str.startswith("paper: 'open drawer'").all()
    assert paper_exclusions(wanted, published(level="high").iloc[:0], "b") == []
