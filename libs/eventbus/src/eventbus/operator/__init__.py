"""The command `eventbus`, for people: nothing that a running service imports."""
