"""What every service shares: decoding, transforms, HTTP, limits, model loading, metrics and lifecycle."""
