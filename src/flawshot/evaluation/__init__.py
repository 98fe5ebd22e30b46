"""Evaluation of classifiers over episodes, with metrics, intervals and paired comparisons."""

from flawshot.evaluation.results import Results
from flawshot.evaluation.runs import evaluate

__all__ = ["Results", "evaluate"]
