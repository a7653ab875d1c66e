"""Descriptions: the few-shot pool, prompts, rewriting and informativeness (method section 7)."""
