"""What a layer is made of: compression, tar entries, and what the files in it say. Bytes in, rows out; no I/O."""
