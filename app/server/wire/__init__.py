"""uvicorn with limits on bytes, time and connections.

Each class that overrides a part of uvicorn names in `WRITTEN_AGAINST` the releases that it was written against.
`tests/server/wire/test_uvicorn.py` fails when another release changes a method that the class overrides or relies on.
"""
