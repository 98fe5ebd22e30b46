"""Evaluation of classifiers over episodes, with metrics, intervals and paired comparisons."""

from flawshot.evaluation.compared_records import ComparedResults
from flawshot.evaluation.comparing import compare_results, evaluate_banks
from flawshot.evaluation.results import Results
from flawshot.evaluation.runs import evaluate

__all__ = ["ComparedResults", "Results", "compare_results", "evaluate", "evaluate_banks"]
