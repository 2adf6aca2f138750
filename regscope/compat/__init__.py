"""Other clients' names for what regscope has."""
