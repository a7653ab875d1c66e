"""Stage 5, reports: what people see. Published tables, result table, pages."""
