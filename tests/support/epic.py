"""The real EPIC clips and captions, as frames with the columns that relevance needs."""

import ast

import pandas as pd
from support.real_data import real_data


def epic_clips_and_captions() -> tuple[pd.DataFrame, pd.DataFrame]:
    """Both in file order; a caption takes text and classes from the clip that it names."""
    folder = real_data("epic_kitchens_100", "retrieval_annotations")
    rows = pd.read_csv(folder / "EPIC_100_retrieval_test.csv")
    clips = pd.DataFrame(
        {
            "clip_id": rows["narration_id"],
            "video_id": rows["video_id"],
            "text": rows["narration"],
            "verb_class": rows["verb_class"],
            "noun_classes": rows["all_noun_classes"].map(ast.literal_eval),
        }
    )
    ids = pd.read_csv(folder / "EPIC_100_retrieval_test_sentence.csv")["narration_id"]
    captions = clips.set_index("clip_id").loc[ids].reset_index().assign(caption_id=ids)
    return clips, captions


def sound_clips_and_classes() -> tuple[pd.DataFrame, pd.DataFrame]:
    """The segments of EPIC-SOUNDS in file order, and its classes by number."""
    rows = pd.read_csv(real_data("epic_sounds", "EPIC_Sounds_validation.csv"))
    clips = pd.DataFrame(
        {"clip_id": rows["annotation_id"], "text": rows["class"], "verb_class": rows["class_id"]}
    )
    classes = clips.drop_duplicates("verb_class").sort_values("verb_class", ignore_index=True)
    return clips.assign(noun_classes=None), classes.assign(noun_classes=None)
