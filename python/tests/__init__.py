"""Tests of the app side: `python -m unittest discover -s python/tests -t python`."""
