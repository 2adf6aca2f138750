"""From what the tables show to a cleaner registry: policies, plans, their application and undoing, smaller images."""
