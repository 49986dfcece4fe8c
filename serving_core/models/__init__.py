"""Where a model comes from: addresses, stores, verification, the manifest."""
