"""How glad the words of a text are, by a short list of words: an example of a model of text."""
