"""What is read of the machine and of a running service: facts, accounting, GPU and server metrics."""
