"""A small Django project: a guest book whose entries lie in the visitor's session."""
