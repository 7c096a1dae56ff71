"""The catalogue: every measurement, table and figure of the workflow is one entry."""
