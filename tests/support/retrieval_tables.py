"""A small benchmark as retrieval's tables, its vectors made so that scores can be said by hand."""

import numpy as np
import pandas as pd

from assets.retrieval.galleries import RetrievalTables
from resources.tables import (
    AUDIO_EMBEDDINGS,
    CAPTIONS,
    CLIPS,
    DESCRIPTIONS,
    QUESTIONS,
    RELEVANCE,
    SUBSET_MEMBERS,
    TEXT_EMBEDDINGS,
    text_id,
)

NAME = "kitchen"
TEXTS = ("cut onion", "open tap", "put pan")
AXES = np.eye(4, dtype=np.float32)


def clip_rows(texts=TEXTS, per_text=2, videos=2, **columns):
    """`per_text` clips of each text, spread over `videos` recordings, classes by text."""
    rows = []
    for number, text in enumerate(np.repeat(texts, per_text).tolist()):
        rows.append(
            {
                "benchmark": NAME,
                "clip_id": f"c{number}",
                "video_id": f"v{number % videos}",
                "participant_id": f"p{number % videos}",
                "start_s": 0.0,
                "stop_s": 1.0,
                "text": text,
                "text_id": text_id(text),
                "shortened": False,
                "verb_class": TEXTS.index(text) if text in TEXTS else 9,
                "noun_classes": [TEXTS.index(text) if text in TEXTS else 9],
                "usable": True,
                **columns,
            }
        )
    return rows


def caption_rows(clips):
    """One caption a distinct text, named after the first clip that carries it."""
    first = pd.DataFrame(clips).drop_duplicates("text")
    return [
        {
            **{name: row[name] for name in CAPTIONS.names if name in row},
            "caption_id": row["clip_id"],
        }
        for row in first.to_dict("records")
    ]


def audio_rows(clips, vector_of, encoder="e", seeds=(0,), crop_rule="first 10 s"):
    """Vectors by `vector_of(clip row, seed)`."""
    return [
        {"benchmark": NAME, "clip_id": clip["clip_id"], "encoder": encoder, "seed": seed,
         "crop_rule": crop_rule, "key": "k", "vector": vector_of(clip, seed)}
        for clip in clips
        for seed in seeds
    ]  # fmt: skip


def text_rows(vectors, encoder="e"):
    """Vectors by text."""
    return [
        {"benchmark": NAME, "text_id": text_id(text), "encoder": encoder, "key": "k",
         "vector": vector}
        for text, vector in vectors.items()
    ]  # fmt: skip


def description_rows(variant, descriptions):
    """Descriptions by original text."""
    return [
        {"benchmark": NAME, "text_id": text_id(text), "variant": variant, "text": text,
         "description": description, "model": "m", "key": "k"}
        for text, description in descriptions.items()
    ]  # fmt: skip


def level_rows(levels, clips, captions=(), questions=(), grader="g"):
    """Subset members by the level of their text."""
    items = [("clip", "clip_id", clips), ("caption", "caption_id", captions),
             ("question", "question_id", questions)]  # fmt: skip
    return [
        {"benchmark": NAME, "grader": grader, "subset": levels[row["text"]], "item_kind": kind,
         "item_id": row[name]}
        for kind, name, rows in items
        for row in rows
        if row["text"] in levels
    ]  # fmt: skip


def tables(clips, captions=None, **rows):
    """All eight tables; captions are made from the clips unless given."""
    models = {
        "relevance": RELEVANCE,
        "questions": QUESTIONS,
        "descriptions": DESCRIPTIONS,
        "subset_members": SUBSET_MEMBERS,
        "audio_embeddings": AUDIO_EMBEDDINGS,
        "text_embeddings": TEXT_EMBEDDINGS,
    }
    return RetrievalTables(
        clips=CLIPS.frame(clips),
        captions=CAPTIONS.frame(caption_rows(clips) if captions is None else captions),
        **{name: model.frame(rows.get(name, [])) for name, model in models.items()},
    )
