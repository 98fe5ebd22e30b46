"""Training of the embedded encoder on drawn scenes."""
