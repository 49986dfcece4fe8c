"""What lies below a title that a reader opens, in a few words."""

from collections.abc import Sequence

from bench.report import text
from bench.report.document import Block, Bullets, tables_in


def contents(blocks: Sequence[Block], pictures: int = 0) -> str:
    """`2 tables and 1 picture`; `3 notes` if there is neither."""
    tables = len(tables_in(blocks))
    counts = [text.plural(tables, "table")] if tables else []
    counts += [text.plural(pictures, "picture")] if pictures else []
    if counts:
        return text.listing(counts)
    return text.plural(sum(len(one.items) for one in blocks if isinstance(one, Bullets)) or 1, "note")
