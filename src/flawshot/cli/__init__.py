"""The commands: thin functions that parse options, call the library, and print."""

from flawshot.cli.app import app, main

__all__ = ["app", "main"]
