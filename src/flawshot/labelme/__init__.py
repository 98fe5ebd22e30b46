"""Labelme's shapes, files and folders, and the images they describe."""
