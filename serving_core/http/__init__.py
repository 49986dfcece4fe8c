"""The HTTP surface: routes, limits, and what is said of them."""
