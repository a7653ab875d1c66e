"""Random edits of a tiny world: each kind of thing that a user changes, and crashes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from hypothesis import strategies as st
from support.tiny_world import TEMPLATES, WORDS, Clip, Prompt, World

CLIP = st.sampled_from(["c0", "c1", "c2", "c3", "c4", "c5"])
RECORDING = st.sampled_from(["a", "b"])
PROMPT = st.sampled_from(["describe", "grade", "second"])
TEXT = st.sampled_from(WORDS)
CLASS = st.sampled_from(["tap", "door", "knife"])
SPAN = st.sampled_from([(0.0, 0.4), (0.25, 0.75), (1.0, 2.2), (2.5, 3.5), (2.9, 3.2), (3.5, 4.0)])
"""Short and long clips; the last three end or lie past the end of the recording."""


@dataclass(frozen=True)
class Edit:
    """One edit: what is changed, of which thing, to what; and whether a run comes after it."""

    kind: str
    of: Any = None
    to: Any = None
    run: bool = True


_NOTHING = st.none()


def _edits(
    kind: str, of: st.SearchStrategy = _NOTHING, to: st.SearchStrategy = _NOTHING
) -> st.SearchStrategy[Edit]:
    return st.builds(Edit, st.just(kind), of, to, st.booleans())


EDIT = st.one_of(
    _edits("text", CLIP, TEXT),
    _edits("times", CLIP, SPAN),
    _edits("class", CLIP, CLASS),
    _edits("recording", CLIP, RECORDING),
    _edits("new row", CLIP, st.builds(Clip, RECORDING, text=TEXT, sound_class=CLASS)),
    _edits("row deleted", CLIP),
    _edits("sound", RECORDING, st.integers(0, 2)),
    _edits("template", PROMPT, st.sampled_from(sorted(TEMPLATES))),
    _edits("model", PROMPT, st.sampled_from(["model-a", "model-b"])),
    _edits("temperature", PROMPT, st.sampled_from([0.0, 0.5])),
    _edits("texts per request", PROMPT, st.integers(1, 3)),
    _edits("new prompt", PROMPT, st.builds(Prompt, st.sampled_from(["describe", "grade"]))),
    _edits("prompt deleted", PROMPT),
    _edits("example", to=st.sampled_from(["water runs", "a tap drips"])),
    _edits("checkpoint", to=st.sampled_from(["weights 0", "weights 1"])),
    _edits("precision", to=st.sampled_from(["float32", "bfloat16"])),
    _edits("crop", to=st.sampled_from(["crop_random", "crop_centre"])),
    _edits("seeds", to=st.sampled_from([(0,), (0, 1), (1, 2)])),
    _edits("bootstrap", to=st.sampled_from([0, 1])),
    _edits("release", to=st.sampled_from(["1", "2"])),
    _edits("revert", to=st.integers(1, 12)),
    _edits("crash", st.sampled_from(["answers", "texts", "sounds"]), st.integers(0, 4)),
)
EDITS = st.lists(EDIT, max_size=12)


def apply(edit: Edit, history: Sequence[World]) -> World:
    """The world after an edit, given the worlds so far, the newest last.

    An edit of something that is not there changes nothing, and so does a crash; the last row and
    the last prompt are not deleted.
    """
    world = history[-1]
    if edit.kind == "crash":
        return world
    if edit.kind == "revert":
        return history[max(len(history) - 1 - edit.to, 0)]
    if edit.kind in _CLIP_FIELDS:
        return replace(world, clips=_changed(world.clips, edit, _CLIP_FIELDS[edit.kind]))
    if edit.kind in _PROMPT_FIELDS:
        return replace(world, prompts=_changed(world.prompts, edit, _PROMPT_FIELDS[edit.kind]))
    if edit.kind in _COLLECTIONS:
        name = _COLLECTIONS[edit.kind]
        return replace(world, **{name: _put(getattr(world, name), edit)})
    return replace(world, **{edit.kind: edit.to})


_CLIP_FIELDS = {
    "text": ("text",),
    "times": ("start_s", "stop_s"),
    "class": ("sound_class",),
    "recording": ("recording",),
}
_PROMPT_FIELDS = {
    "template": ("template",),
    "model": ("model",),
    "temperature": ("temperature",),
    "texts per request": ("texts_per_request",),
}
_COLLECTIONS = {
    "new row": "clips",
    "row deleted": "clips",
    "new prompt": "prompts",
    "prompt deleted": "prompts",
    "sound": "sounds",
}


def _changed(things: Mapping[str, Any], edit: Edit, fields: Sequence[str]) -> Mapping[str, Any]:
    if edit.of not in things:
        return things
    values = edit.to if isinstance(edit.to, tuple) else (edit.to,)
    changed = replace(things[edit.of], **dict(zip(fields, values, strict=True)))
    return {**things, edit.of: changed}


def _put(things: Mapping[str, Any], edit: Edit) -> Mapping[str, Any]:
    """With another thing in its place; with none, it is deleted."""
    others = {name: thing for name, thing in things.items() if name != edit.of}
    if edit.to is None:
        return others or things
    return {**others, edit.of: edit.to}
