"""What an encoded image asks of its decoder, read from the file's own structure before it is decoded."""
