"""Running strategies and measuring them: registry, runtimes, resources, startup, trials, sessions."""
