"""The engine of batched_serving in Mosec's own server."""
