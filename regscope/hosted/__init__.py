"""What hosted registries offer beyond the distribution API, one module for each provider."""
