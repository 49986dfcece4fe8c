"""A project for a model of the user's: the files that `bench init` writes, and what they are made of."""
