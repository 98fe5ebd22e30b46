"""The report: results as an HTML page, and as tables."""

from flawshot.report.page import write_report

__all__ = ["write_report"]
