"""Other model servers as strategies to compare with, each with the same model and pipeline inside."""
