"""Ray actors: thin shells, each around one library object."""
