"""Stage 3: audio and text vectors, computed once and kept by content.

`audio.py` and `texts.py` say what is wanted and what is known, `engine.py` computes the rest.
"""
