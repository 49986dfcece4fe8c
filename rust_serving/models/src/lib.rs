//! A model's manifest and its files: pulled from a store, checked, and kept for the next start.
