"""Requests and responses of hooks, as annotations refer to them."""
