"""Search: the clips nearest to a free text, with any kind of encoder, and clear refusals."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from assets.embeddings import search as module
from assets.embeddings.search import SearchError, search
from pipelines.cli import app
from resources.encoders.protocol import EncoderUnavailable
from resources.keys import text_key
from resources.settings import LateFusionSettings, PrecomputedSettings
from resources.tables import AUDIO_EMBEDDINGS, CLIPS, text_id
from resources.vector_store import VectorStore

ANGLES = {"a": 0.0, "b": 30.0, "c": 90.0}


def unit(degrees: float) -> list[float]:
    return [float(np.cos(np.radians(degrees))), float(np.sin(np.radians(degrees)))]


def tables(encoder: str = "own", seeds: tuple[int, ...] = (0,)) -> tuple[Any, Any]:
    embeddings = AUDIO_EMBEDDINGS.frame(
        {
            "benchmark": "b",
            "clip_id": clip_id,
            "encoder": encoder,
            "seed": seed,
            "crop_rule": "whole",
            "key": f"{clip_id}{seed}",
            "vector": np.array(unit(angle + 10 * seed), dtype=np.float32),
        }
        for clip_id, angle in ANGLES.items()
        for seed in seeds
    )
    clips = CLIPS.frame(
        {
            "benchmark": "b",
            "clip_id": clip_id,
            "video_id": f"v{clip_id}",
            "start_s": 1.0,
            "stop_s": 2.0,
            "text": f"text of {clip_id}",
            "text_id": text_id(clip_id),
            "shortened": False,
            "usable": True,
        }
        for clip_id in ANGLES
    )
    return embeddings, clips


@pytest.fixture
def settings(tmp_path: Path) -> Any:
    pd.DataFrame({"clip_id": ["a"], "vector": [unit(0)]}).to_parquet(tmp_path / "audio.parquet")
    pd.DataFrame({"text": ["pour"], "vector": [unit(40)]}).to_parquet(tmp_path / "text.parquet")
    own = PrecomputedSettings(
        kind="precomputed", audio=tmp_path / "audio.parquet", text=tmp_path / "text.parquet"
    )
    both = LateFusionSettings(kind="late_fusion", weights={"own": 1, "other": 1})
    encoders = {"own": own, "other": own, "both": both}
    return SimpleNamespace(encoders=encoders, cache_dir=tmp_path)


def test_clips_are_ranked_by_similarity(settings: Any) -> None:
    found = search(settings, "own", " pour ", *tables(), count=2)
    assert list(found["clip_id"]) == ["b", "a"]
    assert list(found["rank"]) == [1, 2]
    assert found["similarity"].to_list() == pytest.approx(np.cos(np.radians([10, 40])), abs=1e-6)
    assert found["text"].iloc[0] == "text of b"


def test_similarities_are_averaged_over_seeds(settings: Any) -> None:
    found = search(settings, "own", "pour", *tables(seeds=(0, 1)), count=1)
    expected = np.cos(np.radians([10, 0])).mean()
    assert found["similarity"].iloc[0] == pytest.approx(expected, abs=1e-6)


def test_a_fused_encoder_embeds_with_its_parts(settings: Any) -> None:
    vector = module._text_vector(settings, "both", "pour")
    np.testing.assert_allclose(vector, np.array(unit(40) * 2) / np.sqrt(2), atol=1e-6)


def test_a_known_text_needs_no_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As where torch is not installed, and the vectors are in a shared folder."""

    class WithoutTorch:
        fingerprint = "f" * 64

        def embed_texts(self, texts: Any) -> Any:
            raise EncoderUnavailable("extra not installed", "install it")

    monkeypatch.setattr(module, "build_encoder", lambda *_: WithoutTorch())
    given = SimpleNamespace(encoders={"own": None}, cache_dir=tmp_path, vectors_dir=tmp_path / "v")
    store = VectorStore(given.vectors_dir, WithoutTorch.fingerprint)
    store.add([text_key("pour", WithoutTorch.fingerprint)], np.array([unit(40)], np.float32))
    assert list(search(given, "own", "pour ", *tables(), count=2)["clip_id"]) == ["b", "a"]
    with pytest.raises(SearchError, match="install it"):
        search(given, "own", "cut", *tables())


@pytest.mark.parametrize(
    ("encoder", "text", "says"),
    [
        ("own", "another text", "none of this text"),
        ("other", "pour", "has no vectors"),
        ("absent", "pour", "the config has own, other, both"),
    ],
)
def test_what_can_not_be_searched_is_said(
    settings: Any, encoder: str, text: str, says: str
) -> None:
    with pytest.raises(SearchError, match=says):
        search(settings, encoder, text, *tables())


def test_no_clips_at_all_can_not_be_asked_for() -> None:
    done = CliRunner().invoke(app, ["search", "pour", "-e", "own", "-b", "b", "-k", "0"])
    assert done.exit_code == 2
    assert "-k" in done.output
