"""The HTTP surface: routes, limits, and their OpenAPI description."""
