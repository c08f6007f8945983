"""Sources read the outside world: folders, archives and git repositories."""
