"""Gunicorn's way to be embedded in a program: there is none here, see base.py."""
