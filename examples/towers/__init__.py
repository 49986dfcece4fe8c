"""A model with two inputs and two outputs: how well an article suits a reader."""
