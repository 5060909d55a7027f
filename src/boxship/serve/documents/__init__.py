"""The API's documentation: OpenAPI and its page."""
