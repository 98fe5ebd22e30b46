"""Checks of a data set's annotations: each kind of finding is one small function."""

from flawshot.inspect.checks.data_set import check_data

__all__ = ["check_data"]
