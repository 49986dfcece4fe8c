"""A service as processes: its command line, server, workers and log."""
