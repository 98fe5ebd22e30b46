"""flawshot's own files and folders: written atomically, sealed, locked, and checked when read."""
