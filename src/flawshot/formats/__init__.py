"""One file a format; each reads, and where it makes sense writes, annotations as :class:`LabelmeFile` objects."""
