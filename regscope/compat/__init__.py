"""Names of other clients for regscope's own classes."""
