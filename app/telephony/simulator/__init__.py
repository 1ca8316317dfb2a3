"""A telephone exchange that is simulated: its telephones live in the database and outlast the server."""
