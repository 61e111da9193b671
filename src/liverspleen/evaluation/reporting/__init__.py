"""From measurements to tables, figures and pages, and their files."""
