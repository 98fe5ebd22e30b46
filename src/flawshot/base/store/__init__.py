"""Files and folders of ours: whole or not there, sealed, locked, read with care."""
