"""Models: classifiers fitted to all labeled instances, with calibrated uncertainty."""
