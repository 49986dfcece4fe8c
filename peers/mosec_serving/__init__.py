"""The engine of batched_serving behind Mosec's own server."""
