"""Encoders: crops and masks in, features out; one encoder a file."""
