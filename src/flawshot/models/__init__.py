"""Models: a classifier fitted on all labelled instances, and what it does not know."""
