"""Where strategies run: compose.yaml's services as containers or local processes, and their images."""
