"""The steps of a session, a file for each kind."""
