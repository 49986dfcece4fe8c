"""Whole numbers in text from outside, such as headers and queries: all of them are read here."""

MOST_DIGITS = 18


def whole_number(text: str | bytes, beyond: int | None = None) -> int | None:
    """Return the number that ASCII digits alone write; None for any other text.

    If it has over MOST_DIGITS digits, leading zeros included, the number is `beyond`: Python refuses to read
    some thousands of digits, and the time to read fewer grows with their square.
    """
    if not (text.isascii() and text.isdigit()):
        return None
    return int(text) if len(text) <= MOST_DIGITS else beyond
