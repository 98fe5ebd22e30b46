"""Questions in words to a catalog, read by a fixed grammar: words, names, clauses, items, grammar, question."""

from flawshot.inspect.asking.question import Question, ask_catalog, read_question

__all__ = ["Question", "ask_catalog", "read_question"]
