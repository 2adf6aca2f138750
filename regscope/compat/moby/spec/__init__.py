"""Models of documents under the older client's module names."""
