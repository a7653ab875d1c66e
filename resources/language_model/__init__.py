"""Asking a language model: questions with keys, a ledger of what was paid, and providers."""
