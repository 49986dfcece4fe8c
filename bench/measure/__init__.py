"""Measuring: a session's plan and its steps, the runtimes that strategies run in, and the machine below."""
