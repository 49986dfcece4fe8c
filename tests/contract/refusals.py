"""What every refusal has in common."""

import requests


def check_refusal(answer: requests.Response, status: int) -> str:
    """Return the message of a refusal that is as the table of errors says."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/json"
    assert answer.json().keys() == {"error"}
    assert answer.headers["x-request-id"]
    assert ("retry-after" in answer.headers) == (status in (429, 503))
    assert int(answer.headers.get("retry-after", "1")) >= 1
    message: str = answer.json()["error"]
    assert message
    assert "Traceback" not in message
    return message
