"""The app side of Alicorn: loads a WSGI application, forks workers, runs requests that web workers send.

Standard library only, Python 3.9 and later. Started by the master; see __main__.py and docs/worker-protocol.md.
Imports go in one direction: protocol <- wsgi <- worker <- threads <- arbiter <- __main__.
"""
