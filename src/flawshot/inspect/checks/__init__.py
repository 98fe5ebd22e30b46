"""Checks of a data set's annotations, with one small function per kind of finding."""

from flawshot.inspect.checks.data_set import check_data

__all__ = ["check_data"]
