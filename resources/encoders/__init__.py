"""Encoders: what turns clips and texts into vectors of one space, one module a kind.

`protocol.py` says what an encoder is, `catalog.py` builds one from its settings.
"""
