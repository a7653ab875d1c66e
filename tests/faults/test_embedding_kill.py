"""`kill -9` while clips are embedded: what was saved stays, and only the rest is done again."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import soundfile

CLIPS = 200

CHILD = """
import sys, time
from pathlib import Path
import numpy as np
from assets.embeddings import work
from assets.embeddings.engine import Segment, embed_segments
from assets.embeddings.work import Work
from resources.encoders.protocol import Window
from resources.media.segments import read_segments
from resources.vector_store import VectorStore

class Slow:
    name, fingerprint, sample_rate, window, batch_size = "slow", "f" * 64, 8000, Window(), 4
    training_recordings = frozenset()
    asked = 0
    def embed_audio(self, waveforms, draws):
        Slow.asked += len(waveforms)
        time.sleep(PAUSE)
        return np.array([[wave.mean(), 1.0] for wave in waveforms], dtype=np.float32)

root, wav = Path(sys.argv[1]), Path(sys.argv[2])
PAUSE, count = float(sys.argv[3]), int(sys.argv[4])
work._SAVE_EVERY_S = 0.2
store = VectorStore(root, Slow.fingerprint)
keys = [f"{i:064d}" for i in range(count)]
known = store.known(keys)
segments = [Segment(k, wav, 8000, i * 0.1, i * 0.1 + 0.1, 0)
            for i, k in enumerate(keys) if k not in known]
embed_segments([Work(Slow(), segments, store.add)], read_segments)
print(len(known), Slow.asked, len(store.known(keys)))
"""


def test_a_killed_run_loses_what_was_not_saved_and_nothing_else(tmp_path: Path) -> None:
    wav = tmp_path / "noise.wav"
    samples = np.random.default_rng(0).uniform(-0.5, 0.5, CLIPS * 800)
    soundfile.write(wav, samples.astype(np.float32), 8000)
    root = tmp_path / "vectors"

    def command(pause: float) -> list[str]:
        return [sys.executable, "-c", CHILD, str(root), str(wav), str(pause), str(CLIPS)]

    victim = subprocess.Popen(command(0.1))
    deadline = time.monotonic() + 120
    while len(list(root.glob("*/part-*.parquet"))) < 3 and time.monotonic() < deadline:
        time.sleep(0.02)
    os.kill(victim.pid, signal.SIGKILL)
    assert victim.wait() == -signal.SIGKILL, "it had finished before it was killed"
    again = subprocess.run(command(0.0), check=True, capture_output=True, text=True)
    known, asked, stored = map(int, again.stdout.split())
    assert 0 < known < CLIPS
    assert asked == CLIPS - known
    assert stored == CLIPS
