"""From an encoded image to the input of an engine: the ways to prepare it, between which PIXELS chooses."""
