"""How a model gets here: addresses, stores, verification, the manifest."""
