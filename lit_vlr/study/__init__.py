"""Studies: arms x seeds x sets x attacks, run by the command line that a user has, resumable, ending in one table."""
