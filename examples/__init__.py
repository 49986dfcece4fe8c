"""Models to try the project with, and handlers; docs/examples has a page for each model."""
