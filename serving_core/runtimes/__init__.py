"""What opens a graph: a file for each runtime, which is imported only if ENGINE names it."""
