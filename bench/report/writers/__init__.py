"""Each module writes the values of `bench.report.document` in one form: Markdown, HTML, CSV, a terminal."""
