"""When things run, and the doors in: definitions, jobs, automation, command line."""
