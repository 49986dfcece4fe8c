"""Other model servers as strategies for comparison, each with the same model and pipeline."""
