"""The model's life: definition, training scenes, training, evaluation, export, optimisation, publication."""
