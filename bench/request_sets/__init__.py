"""Request sets: what is sent to a service and what must come back, as a folder with a manifest.json."""
