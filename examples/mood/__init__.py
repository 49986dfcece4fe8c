"""How glad a text's words are: a short list of words, which shows how text is served."""
