"""The documents of the Docker and OCI specifications: parsers and models, from bytes to bytes, without I/O."""
