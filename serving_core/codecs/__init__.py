"""The encodings of requests and answers: functions from a body to its items and back."""
