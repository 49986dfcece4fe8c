"""A random forest of scikit-learn that tells three wines apart."""
