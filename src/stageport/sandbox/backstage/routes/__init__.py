"""The routes of the catalog plugin, one module for each family, and the table that leads to them."""
