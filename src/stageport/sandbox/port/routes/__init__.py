"""The routes of the Port stand-in, one module for each area of the API."""
