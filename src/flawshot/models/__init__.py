"""Models: a classifier fitted on all labeled instances, and what it does not know."""
