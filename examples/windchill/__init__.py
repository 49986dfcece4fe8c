"""How cold the wind makes it feel: a small regression that any of the services can serve."""
