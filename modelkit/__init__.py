"""The model: define it, draw its training scenes, train, evaluate, export, optimise, publish."""
