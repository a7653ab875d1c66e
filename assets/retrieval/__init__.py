"""Retrieval: similarity, metrics, random floors, intervals and comparisons (method section 8)."""
