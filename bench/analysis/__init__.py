"""Figures from a run: summaries, comparisons, verdicts and trends, as values without any sentence."""
