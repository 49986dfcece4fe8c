"""Offering load: the driver in its own process, the null target, and the samples that come of it."""
