"""The report: results as one page to look at, and as tables."""

from flawshot.report.page import write_report

__all__ = ["write_report"]
