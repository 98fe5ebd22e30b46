"""Finding regions on images that nobody has annotated."""
