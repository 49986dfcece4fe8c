"""Documents that cannot go stale: tables from committed runs and the command line's own help, spliced in."""
