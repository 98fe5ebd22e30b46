"""Drawn surfaces with flaws: data for the demo and for tests, and what the embedded encoder is trained on."""
