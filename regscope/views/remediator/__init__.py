"""The policy builder: rules, what they would do, and doing it."""
