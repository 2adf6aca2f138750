"""What the Docker and OCI specifications say: parsers and models. Bytes in, bytes out; no I/O."""
