"""How cold the wind makes it feel: a small regression model that every service can serve."""
