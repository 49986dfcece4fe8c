"""What a service's log says last, for a message."""

import json

SHOWN_CHARACTERS = 300


def last_words(log: str) -> str:
    """The last line that is not empty; of a line that is a JSON object with a `message`, that message."""
    last = next((line.strip() for line in reversed(log.split("\n")) if line.strip()), "")
    return _message(last)[:SHOWN_CHARACTERS]


def _message(line: str) -> str:
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        return line
    message = record.get("message") if isinstance(record, dict) else None
    return " ".join(message.split()) if isinstance(message, str) and message.strip() else line
