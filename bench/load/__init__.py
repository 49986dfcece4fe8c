"""The load: the driver in its own process, the null target, and the samples that the driver records."""
