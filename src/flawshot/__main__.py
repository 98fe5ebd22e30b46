"""``python -m flawshot``: the same as the command ``flawshot``."""

from flawshot.cli import main

main()
